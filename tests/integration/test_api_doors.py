"""Who may do what, and what everybody else is told."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import httpx
import pytest
import structlog

from tests.served_api import ADMIN, ServedApi, token

UPLOAD = ("POST", "/v1/certificates")
ADMINISTRATORS = [
    UPLOAD,
    ("PUT", "/v1/certificates/web"),
    ("DELETE", "/v1/certificates/web"),
    ("POST", "/v1/certificates/web/rotation"),
    ("POST", "/v1/certificates/web/rotation/finish"),
    ("POST", "/v1/certificates/web/rotation/cancel"),
    ("GET", "/v1/certificates"),
    ("GET", "/v1/certificates/web"),
    ("GET", "/v1/certificates/web/content"),
    ("GET", "/v1/certificates/web/usage"),
    ("GET", "/v1/certificates/web/rotation"),
    ("GET", "/v1/operations"),
    ("GET", "/v1/operations/1"),
]
READERS = [
    ("GET", "/v1/environments/default/truststore"),
    ("GET", "/v1/environments/default/changes"),
    ("GET", "/v1/environments/default/truststore.jks"),
]
REPORT = ("POST", "/v1/gateways/g1/reports")
EVERY_DOOR = [*ADMINISTRATORS, *READERS, REPORT]
TOLD = {"environment": "default", "generation": 0, "entries_sha256": "e" * 64, "phase": "failed", "code": "disk_full"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Every error has this one form (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert set(body) - {"operation"} == {"type", "title", "status", "detail", "code", "errors"}
    assert body["type"] == f"urn:trustcast:problem:{code}"
    assert re.fullmatch(r"[a-z0-9_]+", code)
    assert body["detail"].endswith((".", "`.", "…`."))
    assert all(set(one) == {"field", "code", "detail"} for one in body["errors"])
    return body


@pytest.mark.parametrize(("method", "path"), EVERY_DOOR)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {ADMIN}x",
        f"Bearer {ADMIN[:-1]}",
        f"Basic {ADMIN}",
        ADMIN,
        "Bearer " + "a" * 5000,
        "Bearer \xff\xfe",
    ],
    ids=["none", "empty", "no token", "wrong", "longer", "shorter", "basic", "bare", "long", "odd"],
)
def test_nobody_gets_in_without_a_valid_token(api: ServedApi, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}

    answer = api.ask(method, path, as_=None, headers=headers)

    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_scheme_is_compared_without_case(api: ServedApi) -> None:
    answer = api.ask("GET", "/v1/certificates", as_=None, headers={"Authorization": f"bEARER {ADMIN}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), ADMINISTRATORS)
def test_gateway_may_not_do_what_the_administrator_does(api: ServedApi, method: str, path: str) -> None:
    assert_problem(api.ask(method, path, as_=token("g1")), 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), READERS)
def test_gateway_reads_its_own_environment(api: ServedApi, method: str, path: str) -> None:
    answer = api.ask(method, path, as_=token("g1"), headers={"Truststore-Password": "changeit"})

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), READERS)
@pytest.mark.parametrize("environment", ["other", "nowhere", "DEFAULT", "default%00", "default%2F..%2Fother"])
def test_gateway_reads_no_other_environment(api: ServedApi, method: str, path: str, environment: str) -> None:
    answer = api.ask(method, path.replace("default", environment), as_=token("g1"))

    assert answer.status_code in {400, 403, 404}
    assert "generation" not in answer.text


def test_gateway_of_another_environment_reads_that_one(api: ServedApi) -> None:
    assert api.ask("GET", "/v1/environments/other/changes", as_=token("elsewhere")).status_code == 200


def test_gateway_reports_as_itself(api: ServedApi) -> None:
    assert api.ask(*REPORT, as_=token("g1"), json=TOLD).status_code == 204


@pytest.mark.parametrize("who", [token("g2"), token("elsewhere"), ADMIN])
def test_nobody_reports_for_another(api: ServedApi, who: str) -> None:
    assert_problem(api.ask(*REPORT, as_=who, json=TOLD), 403, "forbidden")


def test_gateway_does_not_report_about_another_environment(api: ServedApi) -> None:
    body = assert_problem(
        api.ask(*REPORT, as_=token("g1"), json=TOLD | {"environment": "other"}), 400, "environment_wrong"
    )

    assert [one["field"] for one in body["errors"]] == ["environment"]


def test_who_may_not_pass_is_not_told_what_else_is_wrong(api: ServedApi) -> None:
    assert_problem(api.ask("POST", "/v1/certificates", as_=None, content=b"rubbish"), 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_for_everybody(api: ServedApi, path: str) -> None:
    assert api.ask("GET", path, as_=None).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v2/certificates"), ("POST", "/v1"), ("GET", "/docs")]
)
def test_unknown_address_is_a_problem(api: ServedApi, method: str, path: str) -> None:
    assert_problem(api.ask(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("PATCH", "/v1/certificates", {"GET", "POST"}), ("DELETE", "/healthz", {"GET"})]
)
def test_unknown_method_is_a_problem_that_names_the_known_ones(
    api: ServedApi, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.ask(method, path)

    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) <= allowed


def test_client_that_hangs_up_in_the_middle_of_an_upload_is_no_error_of_ours(fresh_api: ServedApi) -> None:
    host, port = fresh_api.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/certificates HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ADMIN}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n"
    )

    with structlog.testing.capture_logs() as lines:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode())
            time.sleep(0.2)
        time.sleep(0.3)

    assert [line for line in lines if line["log_level"] == "error"] == []
