"""Who is refused learns what to do instead, in words; nothing of what was sent comes back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.integration.test_api_doors import assert_problem
from tests.integration.test_api_registry import PIZZA
from tests.integration.test_token_routes import made
from tests.served_api import ServedApi, token
from trustcast_api.document import document
from trustcast_api.field_errors import RULES

MARK = "zebra7391"
JSON = "send a JSON object, with the header Content-Type: application/json."


def some_alias() -> str:
    return f"what-{time.monotonic_ns()}"


def errors_of(api: ServedApi, method: str, path: str, **options: Any) -> list[dict[str, str | None]]:
    answer = api.ask(method, path, **options)
    told: list[dict[str, str | None]] = assert_problem(answer, 400, "invalid_request")["errors"]
    assert MARK not in answer.text
    return told


@pytest.mark.parametrize("endpoint", ["prod.example.com", "10.0.0.7", "prod.example.com:444", "[::1]"])
@pytest.mark.parametrize("path", ["/v1/certificates", "/v1/apis", "/api/am/publisher/v4/endpoint-certificates"])
def test_endpoint_may_be_looked_for_by_its_bare_host(api: ServedApi, path: str, endpoint: str) -> None:
    assert api.ask("GET", path, params={"endpoint": endpoint}).status_code == 200


def test_bare_host_finds_what_its_url_finds(api: ServedApi) -> None:
    alias = some_alias()
    api.upload(alias, self_signed(f"{alias}.example"), f"https://{alias}.example:444")
    api.work()

    for endpoint, found in ((f"{alias}.example", 1), (f"{alias}.example:444", 1), (f"{alias}.example:443", 0)):
        assert api.ask("GET", "/v1/certificates", params={"endpoint": endpoint}).json()["total"] == found


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/v1/certificates", "GET, POST"),
        ("POST", "/v1/certificates/web", "DELETE, GET, PUT"),
        ("DELETE", "/v1/environments/default", "GET, PUT"),
        ("PATCH", "/api/am/publisher/v4/endpoint-certificates/web", "DELETE, GET, PUT"),
        ("DELETE", "/healthz", "GET"),
    ],
)
def test_unknown_method_is_told_every_known_one(api: ServedApi, method: str, path: str, allowed: str) -> None:
    answer = api.ask(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.text


def test_wrong_word_is_told_those_there_are_by_the_path_of_its_field(api: ServedApi) -> None:
    endpoints = {"production": {"kind": MARK, "urls": ["https://a.example"]}}

    assert errors_of(api, "POST", "/v1/apis", json=PIZZA | {"endpoints": endpoints}) == [
        {
            "field": "endpoints.production.kind",
            "code": "field_invalid",
            "detail": "Send one of: single, load_balanced, failover.",
        }
    ]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "Send a number of 1 or more."),
        ("limit=1001", "Send a number of 1000 or less."),
        (f"limit={MARK}", "Send a whole number."),
        (f"offset={2**31}", f"Send a number below {2**31}."),
        (f"status={MARK}", "Send one of: pending, active, expiring, expired, not-yet-valid."),
        (f"expires_before={MARK}", "Send a time as RFC 3339 has it, such as 2026-11-23T12:00:00Z."),
        (f"alias={MARK}%00", "Send 1 to 255 characters, without control characters"),
    ],
)
def test_wrong_filter_is_told_the_rule_in_words(api: ServedApi, query: str, detail: str) -> None:
    told = errors_of(api, "GET", f"/v1/certificates?{query}")

    assert [one["field"] for one in told] == [query.partition("=")[0]]
    assert str(told[0]["detail"]).startswith(detail)


@pytest.mark.parametrize(
    ("path", "told", "field", "allowed"),
    [
        ("/v1/tenants/8", {"domain": "x.example", MARK: 1}, None, "domain, on_expiry, policy"),
        ("/v1/apis/1", PIZZA | {"endpoints": {MARK: None}}, "endpoints", "production, sandbox"),
        (
            "/v1/apis/1",
            PIZZA | {"endpoints": {"sandbox": {"kind": "single", "urls": [], MARK: 1}}},
            "endpoints.sandbox",
            "kind, urls",
        ),
    ],
)
def test_unknown_field_is_told_those_there_are_and_not_repeated(
    api: ServedApi, path: str, told: dict[str, Any], field: str | None, allowed: str
) -> None:
    assert errors_of(api, "PUT", path, json=told) == [
        {"field": field, "code": "field_unknown", "detail": f"One field is none of those there are: {allowed}."}
    ]


@pytest.mark.parametrize("limit", [0, 2**31, True, 1.5, "many", [MARK]])
def test_wrong_limit_of_a_policy_is_one_error(api: ServedApi, limit: object) -> None:
    told = {"domain": "x.example", "policy": {"certificates_per_endpoint": limit}}

    assert errors_of(api, "PUT", "/v1/tenants/8", json=told) == [
        {
            "field": "policy.certificates_per_endpoint",
            "code": "field_invalid",
            "detail": 'Send a whole number from 1 to 2147483647, or "unlimited".',
        }
    ]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_body_that_is_no_json_is_told_what_to_send(api: ServedApi, content_type: str) -> None:
    headers = {"Content-Type": content_type}

    told = errors_of(api, "PUT", "/v1/tenants/8", content=f"{MARK}=1".encode(), headers=headers)

    detail = f"The body is not JSON, or no object: {JSON}"
    assert told == [{"field": None, "code": "body_unreadable", "detail": detail}]


def test_missing_field_and_missing_body_are_told_apart(api: ServedApi) -> None:
    field = errors_of(api, "PUT", "/v1/tenants/8", json={})
    body = errors_of(api, "PUT", "/v1/tenants/8")

    assert [(one["field"], one["code"]) for one in field] == [("domain", "field_missing")]
    assert body == [{"field": None, "code": "body_unreadable", "detail": f"There is no body: {JSON}"}]


def test_every_pattern_of_the_document_has_a_sentence() -> None:
    stated = document()
    del stated["components"]["schemas"]["Problem"]

    assert set(patterns(stated)) <= set(RULES)


def patterns(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        return own + [one for value in part.values() for one in patterns(value)]
    return [one for value in part for one in patterns(value)] if isinstance(part, list) else []


def test_unknown_field_of_a_form_is_one_error(api: ServedApi) -> None:
    answer = api.ask("POST", "/v1/certificates", data={"alias": some_alias(), MARK: "1"}, files={"certificate": b"x"})

    (told,) = assert_problem(answer, 400, "field_unknown")["errors"]
    assert (told["field"], told["code"]) == (None, "field_unknown")
    named = "alias, endpoint, certificate, anchor, ca, accept_expired, activate_at and password"
    assert named in str(told["detail"])
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/certificates?staus={MARK}",
        f"/v1/certificates/web?{MARK}",
        f"/v1/operations?limit=1&status={MARK}",
        f"/v1/apis?titel={MARK}",
        f"/v1/environments?{MARK}=",
        f"/v1/environments/default/changes?{MARK}=1",
        f"/v1/tenants?{MARK}=1",
        f"/v1/tokens?{MARK}=1",
        f"/v1/audit?{MARK}=1",
    ],
)
def test_unknown_parameter_is_refused(api: ServedApi, path: str) -> None:
    answer = api.ask("GET", path)

    (told,) = assert_problem(answer, 400, "parameter_unknown")["errors"]
    assert told["field"] is None
    assert MARK not in answer.text


def test_unknown_parameter_is_told_those_there_are(api: ServedApi) -> None:
    detail = api.ask("GET", "/v1/operations?status=applied&x=1").json()["detail"]

    assert detail == "2 of the query's parameters are unknown; there are alias, batch, kind, limit, offset, state."


def test_who_may_not_pass_is_not_told_of_parameters(api: ServedApi) -> None:
    assert_problem(api.ask("GET", "/v1/certificates?x=1", as_=None), 401, "unauthenticated")
    assert_problem(api.ask("GET", "/v1/certificates?x=1", as_=token("g1")), 403, "forbidden")


def test_unknown_parameter_of_a_face_is_left_alone(api: ServedApi) -> None:
    assert api.ask("GET", "/api/am/publisher/v4/endpoint-certificates?x=1").status_code == 200


def test_who_lacks_scopes_is_told_which(api: ServedApi) -> None:
    gateways = "This needs a token with the scope trustcast:gateways, or that of one of its gateways."
    viewer = made(api, scopes=["apim:api_view"])

    administrators = api.ask("GET", "/v1/audit", as_=viewer).json()["detail"]
    truststore = api.ask("GET", "/v1/environments/default/truststore", as_=viewer).json()["detail"]
    another = api.ask("GET", "/v1/environments/other/truststore", as_=token("g1")).json()["detail"]

    assert administrators == "This needs a token with the scope trustcast:admin."
    assert truststore == gateways
    assert another == "A gateway's token reads its own environment and nothing else."


@pytest.mark.parametrize("query", ["/v1/certificates", "/v1/audit?tenant=nowhere.example"])
def test_unknown_tenant_is_told_how_to_find_or_make_one(api: ServedApi, query: str) -> None:
    headers = {} if "tenant" in query else {"Trustcast-Tenant": "nowhere.example"}

    body = assert_problem(api.ask("GET", query, headers=headers), 400, "tenant_unknown")

    assert "PUT /v1/tenants/{id}" in body["detail"]


@pytest.mark.parametrize(("method", "what"), [("GET", ""), ("POST", "/finish"), ("POST", "/cancel")])
def test_next_certificate_names_the_one_that_is_rotated(api: ServedApi, method: str, what: str) -> None:
    alias = some_alias()
    api.upload(alias, self_signed(f"{alias}.example"))
    api.work()
    api.ask("POST", f"/v1/certificates/{alias}/rotation", files={"certificate": self_signed(f"{alias}.example").pem})
    api.work()

    body = assert_problem(api.ask(method, f"/v1/certificates/{alias}.next/rotation{what}"), 404, "rotation_not_found")

    assert f"the next certificate of {alias};" in body["detail"]
