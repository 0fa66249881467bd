"""Problems in the Publisher's envelope."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI

from trustcast.domain.errors import Unavailable
from trustcast_api import problems
from trustcast_api.publisher import errors

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx reads all public CAs for each client that has none


def test_error_has_their_members() -> None:
    told = errors.of_problem(problems.problem(HTTPStatus.NOT_FOUND, "certificate_not_found", "There is none."))

    assert told == {
        "code": 404,
        "message": "Not Found",
        "description": "There is none.",
        "moreInfo": "",
        "error": [],
    }


@pytest.mark.parametrize("code", ["alias_exists", "alias_reserved", "certificate_exists", "endpoint_has_certificate"])
def test_what_is_taken_exists_already(code: str) -> None:
    told = errors.of_problem(problems.problem(HTTPStatus.CONFLICT, code, "It is taken."))

    assert (told["code"], told["message"]) == (409, "Resource Already Exists")


def test_another_conflict_is_one() -> None:
    told = errors.of_problem(problems.problem(HTTPStatus.CONFLICT, "rotation_under_way", "A rotation is under way."))

    assert (told["code"], told["message"]) == (409, "Conflict")


def test_expired_certificate_is_told_by_the_text_that_clients_look_for() -> None:
    told = errors.of_problem(problems.problem(HTTPStatus.BAD_REQUEST, "certificate_expired", "Upload its successor."))

    assert told["description"] == "Certificate Expired. Upload its successor."


def test_what_an_operation_finds_gone_is_not_found() -> None:
    told = errors.of_problem(problems.problem(HTTPStatus.CONFLICT, "certificate_not_found", "It is gone."))

    assert (told["code"], told["message"]) == (404, "Not Found")


@pytest.mark.parametrize("code", ["field_missing", "field_repeated", "field_invalid"])
def test_fault_that_says_nothing_without_its_field_names_it(code: str) -> None:
    faults: list[dict[str, str | None]] = [{"field": "endpoint", "code": code, "detail": "It is wrong."}]

    told = errors.of_problem(problems.problem(HTTPStatus.BAD_REQUEST, code, "It is wrong.", faults))

    assert told["description"] == "endpoint: It is wrong."
    assert told["error"] == [{"code": code, "message": "endpoint: It is wrong."}]


@pytest.mark.parametrize("base", ["/api/am/publisher/v4/endpoint-certificates", "/api/am/publisher/v0.14/certificates"])
def test_advice_names_the_routes_of_the_face(base: str) -> None:
    detail = "GET /v1/certificates lists them; PUT /v1/certificates/web; POST /v1/certificates/web/rotation."
    problem = problems.problem(HTTPStatus.CONFLICT, "alias_exists", detail)

    told = errors.of_problem(problem, asked=f"{base}/web/content")

    assert told["description"] == f"GET {base} lists them; PUT {base}/web; POST /v1/certificates/web/rotation."


def test_several_faults_are_listed_and_one_is_not() -> None:
    faults: list[dict[str, str | None]] = [
        {"field": "alias", "code": "alias_invalid", "detail": "No."},
        {"field": "endpoint", "code": "endpoint_scheme", "detail": "Not that either."},
    ]

    one = errors.of_problem(problems.problem(HTTPStatus.BAD_REQUEST, "alias_invalid", "No.", faults[:1]))
    two = errors.of_problem(problems.problem(HTTPStatus.BAD_REQUEST, "invalid_request", "Several.", faults))

    assert (one["description"], one["error"]) == ("No.", [])
    assert two["description"] == "alias: No. endpoint: Not that either."
    assert two["error"] == [
        {"code": "alias_invalid", "message": "alias: No."},
        {"code": "endpoint_scheme", "message": "endpoint: Not that either."},
    ]


@pytest.mark.parametrize(
    ("path", "theirs"),
    [
        ("/api/am/publisher", True),
        ("/api/am/publisher/v9/anything", True),
        ("/api/am/publishers", False),
        ("/v1/certificates", False),
        ("/", False),
    ],
)
def test_the_form_is_theirs_under_their_addresses_only(path: str, theirs: bool) -> None:
    assert errors.covers(path) is theirs


def test_what_nobody_expected_is_told_without_detail() -> None:
    answer = _asked(RuntimeError("secret"))

    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (500, 500, "Internal server error")
    assert "secret" not in answer.text


def test_headers_of_a_problem_stay() -> None:
    answer = _asked(Unavailable("database_unavailable", "The database does not answer."))

    assert (answer.status_code, answer.json()["description"]) == (503, "The database does not answer.")
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("2", "application/json")


def _asked(failing_with: Exception) -> httpx.Response:
    app = FastAPI()
    problems.install(app)

    @app.get(f"{errors.ROOT}/v4/endpoint-certificates")
    def fail() -> None:
        raise failing_with

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.example", verify=_NO_TLS) as client:
            return await client.get(f"{errors.ROOT}/v4/endpoint-certificates")

    return asyncio.run(ask())
