"""Every error under WSO2's addresses has WSO2's form, whoever found it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.publisher import Face, assert_error, some_alias, some_host
from tests.redis_server import RedisServer
from tests.served_api import add_environment, served, token

ROUTES = [("GET", ""), ("POST", ""), ("GET", "/web"), ("PUT", "/web"), ("DELETE", "/web"), ("GET", "/web/content")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_a_token(face: Face, method: str, path: str) -> None:
    answer = face.ask(method, path, as_=None)

    assert_error(answer, 401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_gateway_does_not_get_in(face: Face, method: str, path: str) -> None:
    assert_error(face.ask(method, path, as_=token("g1")), 403, "Forbidden")


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v4", "/v4/apis", "/v5/endpoint-certificates", "/v0.14/endpoint-certificates", "/v4/certificates"],
)
def test_unknown_address_is_not_found(newest_face: Face, path: str) -> None:
    assert_error(newest_face.api.ask("GET", f"/api/am/publisher{path}"), 404, "Not Found")


def test_unknown_method_is_not_allowed(face: Face) -> None:
    answer = face.ask("PATCH", "/web")

    assert_error(answer, 405, "Method Not Allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_body_that_is_no_form_is_not_supported(face: Face, method: str) -> None:
    answer = face.ask(method, "" if method == "POST" else "/web", json={"alias": "web"})

    assert_error(answer, 415, "Unsupported Media Type")


def test_broken_form_is_a_bad_request(face: Face) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert_error(face.ask("POST", content=b"--y\r\nrubbish", headers=headers), 400, "Bad Request")


def test_large_body_is_too_large(face: Face) -> None:
    answer = face.ask("POST", files={"certificate": ("c.crt", b"x" * 300_000)})

    assert_error(answer, 413, "Payload Too Large")


@pytest.mark.parametrize("wrong", ["limit=x", "limit=-1", "offset=-1", f"offset={2**31}", "limit=1.5"])
def test_page_that_is_none_is_a_bad_request(newest_face: Face, wrong: str) -> None:
    body = assert_error(newest_face.ask("GET", f"?{wrong}"), 400, "Bad Request")

    assert body["description"].startswith(wrong.partition("=")[0])


def test_field_may_come_once_only(newest_face: Face) -> None:
    files = [("alias", (None, b"a")), ("alias", (None, b"b"))]

    body = assert_error(newest_face.ask("POST", files=files), 400, "Bad Request")

    assert body["description"] == "alias: Send this field once."
    assert body["error"] == [{"code": "field_repeated", "message": "alias: Send this field once."}]


def test_missing_field_is_named(face: Face) -> None:
    files = {"certificate": ("c.crt", self_signed().pem)}

    body = assert_error(face.ask("POST", data={"alias": "web"}, files=files), 400, "Bad Request")

    assert body["description"].startswith("endpoint: ")
    assert [one["code"] for one in body["error"]] == ["field_missing"]


def test_unknown_alias_is_told_where_this_face_lists_those_there_are(face: Face) -> None:
    body = assert_error(face.ask("GET", f"/{some_alias()}"), 404, "Not Found")

    assert f"GET {face.address} " in body["description"]


def test_what_is_taken_is_replaced_on_this_face(face: Face) -> None:
    alias, host = some_alias(), some_host()
    face.upload(alias, self_signed(host), f"https://{host}")

    body = assert_error(face.upload(alias, self_signed(host), f"https://{host}"), 409, "Resource Already Exists")

    assert f"PUT {face.address}/{alias}:" in body["description"]


def test_native_routes_keep_their_own_form(newest_face: Face) -> None:
    assert newest_face.api.ask("GET", "/v1/nothing").headers["content-type"] == "application/problem+json"


def test_repeated_request_gets_the_same_answer(face: Face) -> None:
    alias, host = some_alias(), some_host()
    made, headers = self_signed(host), {"Idempotency-Key": alias}

    first, second = (face.upload(alias, made, f"https://{host}", headers=headers) for _ in range(2))

    assert (first.status_code, first.json()) == (201, {"alias": alias, "endpoint": f"https://{host}"})
    assert (second.status_code, second.json()) == (201, first.json())


def test_request_that_is_sent_fifty_times_at_once_has_one_effect(newest_face: Face) -> None:
    alias, host = some_alias(), some_host()
    made, headers = self_signed(host), {"Idempotency-Key": alias}

    def upload(_: int) -> int:
        return newest_face.upload(alias, made, f"https://{host}", headers=headers).status_code

    with ThreadPoolExecutor(50) as clients:
        answers = set(clients.map(upload, range(50)))

    assert answers == {201}
    operations = newest_face.api.ask("GET", "/v1/operations", params={"alias": alias}).json()
    assert operations["total"] == 1


def test_key_of_another_request_is_refused(face: Face) -> None:
    alias, host = some_alias(), some_host()
    headers = {"Idempotency-Key": alias}
    face.upload(alias, self_signed(host), f"https://{host}", headers=headers)

    assert_error(face.upload(alias, self_signed(host), f"https://{host}", headers=headers), 422, "Unprocessable Entity")


def test_client_learns_that_a_slow_request_goes_on(sqlite_url: str, tmp_path: Path, redis_server: RedisServer) -> None:
    add_environment(sqlite_url, "other")
    with served(tmp_path, sqlite_url, redis_server.url, {"TRUSTCAST_PUBLISHER_WAIT_SECONDS": "0.1"}) as api:
        face = Face(api, "v4")

        body = assert_error(face.upload("web", self_signed(), "https://web.example"), 504, "Gateway Timeout")

        operation = re.search(r"operation ([0-9a-f-]{36});", body["description"])
        assert operation is not None
        assert body["moreInfo"] == f"/v1/operations/{operation[1]}"
        api.work()
        assert api.ask("GET", body["moreInfo"]).json()["state"] == "applied"
        assert len(face.found(alias="web")) == 1
