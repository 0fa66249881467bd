"""APIs, environments and tenants over HTTP."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.integration.test_api_doors import assert_problem
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, served, token
from trustcast.domain.policy import Policy

PIZZA: dict[str, Any] = {
    "name": "Pizza",
    "version": "1.0.0",
    "context": "/pizza",
    "provider": "mario",
    "type": "HTTP/REST",
    "endpoints": {
        "production": {"kind": "failover", "urls": ["https://a.example/{id}", "https://b.example:8443"]},
        "sandbox": None,
    },
}
SPACED = "/v1/environments/Production%20and%20Sandbox"


def fresh(name: str, **others: Any) -> dict[str, Any]:
    """An API that no other test on the same server has."""
    return PIZZA | {"name": f"{name}-{time.monotonic_ns()}"} | others


def test_api_lives_from_its_registration_to_its_removal(api: ServedApi) -> None:
    told = fresh("Life")

    made = api.ask("POST", "/v1/apis", json=told)
    where = made.headers["location"]
    assert made.status_code == 201
    assert made.json().items() >= told.items()
    assert api.ask("GET", where).json() == made.json()

    changed = api.ask("PUT", where, json=told | {"context": "/new", "endpoints": {}})
    assert (changed.status_code, changed.json()["context"]) == (200, "/new")
    assert changed.json()["endpoints"] == {"production": None, "sandbox": None}
    assert changed.json()["created_at"] == made.json()["created_at"] < changed.json()["updated_at"]

    gone = api.ask("DELETE", where)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert_problem(api.ask(method, where), 404, "api_not_found")
    assert_problem(api.ask("PUT", where, json=told), 404, "api_not_found")


def test_names_of_wso2_4_are_read_as_ours(api: ServedApi) -> None:
    backends = {"kind": "load_balance", "urls": ["https://a.example", "https://b.example"]}
    told = fresh("Named", type="HTTP", endpoints={"production": backends, "sandbox": None})

    made = api.ask("POST", "/v1/apis", json=told).json()
    listed = api.ask("GET", "/v1/apis", params={"name": told["name"], "type": "HTTP"}).json()["apis"]

    assert (made["type"], made["endpoints"]["production"]["kind"]) == ("HTTP/REST", "load_balanced")
    assert listed == [made]


def test_apis_are_listed_by_pages(api: ServedApi) -> None:
    provider = f"p-{time.monotonic_ns()}"
    for name in ("b", "a", "c"):
        api.ask("POST", "/v1/apis", json=PIZZA | {"name": f"{name}-{provider}", "provider": provider})

    page = api.ask("GET", "/v1/apis", params={"provider": provider, "limit": 2, "offset": 1}).json()

    assert [one["name"][0] for one in page["apis"]] == ["b", "c"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)
    assert_problem(api.ask("GET", "/v1/apis", params={"endpoint": "http://plain.example"}), 400, "endpoint_scheme")


def test_every_wrong_url_is_named(api: ServedApi) -> None:
    urls = {"kind": "load_balanced", "urls": ["ftp://a.example", "https://a.example", "https://"]}

    body = assert_problem(
        api.ask("POST", "/v1/apis", json=fresh("Wrong", endpoints={"production": urls})), 400, "invalid_request"
    )

    assert [(one["field"], one["code"]) for one in body["errors"]] == [
        ("endpoints.production.urls[0]", "url_scheme"),
        ("endpoints.production.urls[2]", "endpoint_host"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": {}},
        {"name": ""},
        {"name": "a\u0000b"},
        {"version": None},
        {"endpoints": {"production": {"kind": "round_robin", "urls": ["https://a.example"]}}},
        {"endpoints": {"production": {"kind": "single", "urls": "https://a.example"}}},
        {"endpoints": {"staging": None}},
    ],
)
def test_body_of_another_form_is_refused(api: ServedApi, wrong: dict[str, Any]) -> None:
    assert_problem(api.ask("POST", "/v1/apis", json=fresh("Wrong") | wrong), 400, "invalid_request")


def test_body_that_is_no_unicode_is_refused(api: ServedApi) -> None:
    body = json.dumps(fresh("Wrong")).replace("/pizza", "\\ud800").encode()

    answer = api.ask("POST", "/v1/apis", content=body, headers={"Content-Type": "application/json"})

    assert_problem(answer, 400, "invalid_request")


def test_request_sent_again_with_its_key_is_answered_again(api: ServedApi) -> None:
    told, key = fresh("Twice"), {"Idempotency-Key": f"k-{time.monotonic_ns()}"}
    first, again = (api.ask("POST", "/v1/apis", json=told, headers=key) for _ in range(2))

    assert (again.status_code, again.json(), again.headers["location"]) == (
        201,
        first.json(),
        first.headers["location"],
    )
    assert_problem(api.ask("POST", "/v1/apis", json=told | {"type": "WS"}, headers=key), 422, "idempotency_key_reused")
    assert_problem(api.ask("POST", "/v1/apis", json=told), 409, "api_exists")


def test_environment_is_made_with_a_gateway_that_waits_for_it(fresh_api: ServedApi) -> None:
    fresh_api.upload("web", self_signed("web.example"))
    fresh_api.work()
    path = fresh_api.folder / "gateways.json"
    lines = json.loads(path.read_text())["gateways"]
    digest = hashlib.sha256(token("g9").encode()).hexdigest()
    lines.append({"name": "g9", "environment": "Production and Sandbox", "token_sha256": digest})
    path.write_text(json.dumps({"gateways": lines}))

    made = fresh_api.ask("PUT", SPACED, json={"type": "hybrid"})
    fresh_api.work()

    assert made.status_code == 201
    changes = fresh_api.ask("GET", f"{SPACED}/changes", as_=token("g9")).json()
    assert [one["alias"] for one in changes["changes"]] == ["web"]
    assert_problem(fresh_api.ask("GET", f"{SPACED}/changes", as_=token("g1")), 403, "forbidden")
    listed = {one["name"]: one for one in fresh_api.ask("GET", "/v1/environments").json()["environments"]}
    assert list(listed) == ["Production and Sandbox", "default", "other"]
    assert listed["Production and Sandbox"] == fresh_api.ask("GET", SPACED).json()
    assert listed["Production and Sandbox"].items() >= {"entries": 1, "gateways": 1, "converged": False}.items()


def test_gateway_of_an_environment_that_is_not_there_keeps_nobody_from_starting(
    database_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    with served(tmp_path, database_url, redis_server.url) as api:  # its gateways file names `other`
        changes = "/v1/environments/other/changes"
        assert_problem(api.ask("GET", changes, as_=token("elsewhere")), 401, "unauthenticated")
        assert_problem(api.ask("GET", "/v1/environments/other"), 404, "environment_not_found")

        assert api.ask("PUT", "/v1/environments/other", json={"type": "hybrid"}).status_code == 201

        assert api.ask("GET", changes, as_=token("elsewhere")).status_code == 200


@pytest.mark.parametrize("name", ["%20a", "a%2Fb", "a%00", "-a", "%C3%A4", "a" * 256, "a%0A"])
def test_name_of_another_form_is_no_environments(api: ServedApi, name: str) -> None:
    answer = api.ask("PUT", f"/v1/environments/{name}", json={"type": "hybrid"})

    assert answer.status_code in (400, 404), answer.text


@pytest.mark.parametrize(
    "body", [{}, {"type": "Hybrid"}, {"type": "hybrid", "x": 1}, {"type": "hybrid", "description": 7}]
)
def test_environment_of_another_form_is_refused(api: ServedApi, body: dict[str, Any]) -> None:
    assert_problem(api.ask("PUT", "/v1/environments/new", json=body), 400, "invalid_request")


def test_tenant_is_made_edited_and_listed(fresh_api: ServedApi) -> None:
    made = fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pizza.example"})
    edited = fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pizza.example", "on_expiry": "remove"})

    expected = {"id": 7, "domain": "pizza.example", "on_expiry": "keep", "policy": Policy().settings()}
    assert (made.status_code, made.json()) == (201, expected)
    assert (edited.status_code, edited.json()["on_expiry"]) == (200, "remove")
    assert fresh_api.ask("GET", "/v1/tenants/7").json() == edited.json()
    listed = fresh_api.ask("GET", "/v1/tenants").json()
    assert ([one["id"] for one in listed["tenants"]], listed["total"]) == ([-1234, 7], 2)
    assert fresh_api.ask("GET", "/v1/tenants/-1234").json()["domain"] == "carbon.super"
    assert_problem(fresh_api.ask("GET", "/v1/tenants/8"), 404, "tenant_not_found")


@pytest.mark.parametrize("domain", ["", "Pizza.example", "a b", "a..b", "-a", "a.", "\u00e4.example", "a" * 256, "a\n"])
def test_domain_is_like_a_lower_case_host(api: ServedApi, domain: str) -> None:
    assert_problem(api.ask("PUT", "/v1/tenants/99", json={"domain": domain}), 400, "invalid_request")


@pytest.mark.parametrize(
    ("id_", "code"),
    [("0", "tenant_id_invalid"), ("-7", "tenant_id_invalid"), ("x", "invalid_request"), ("9" * 40, "invalid_request")],
)
def test_id_of_a_tenant_is_a_positive_number(api: ServedApi, id_: str, code: str) -> None:
    assert_problem(api.ask("PUT", f"/v1/tenants/{id_}", json={"domain": "x.example"}), 400, code)


def test_what_is_another_tenants_is_not_there(fresh_api: ServedApi) -> None:
    fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pizza.example"})
    theirs = {"Trustcast-Tenant": "pizza.example"}
    where = fresh_api.ask("POST", "/v1/apis", json=PIZZA, headers=theirs).headers["location"]

    assert fresh_api.ask("GET", where, headers=theirs).status_code == 200
    assert_problem(fresh_api.ask("GET", where), 404, "api_not_found")
    assert_problem(fresh_api.ask("PUT", where, json=PIZZA), 404, "api_not_found")
    assert_problem(fresh_api.ask("DELETE", where), 404, "api_not_found")
    assert fresh_api.ask("GET", "/v1/apis").json()["total"] == 0
    assert fresh_api.ask("POST", "/v1/apis", json=PIZZA).status_code == 201


def test_tenant_keeps_what_becomes_of_its_certificates_where_nothing_is_said_of_it(fresh_api: ServedApi) -> None:
    fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pizza.example", "on_expiry": "remove"})

    renamed = fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pasta.example"})

    assert (renamed.json()["domain"], renamed.json()["on_expiry"]) == ("pasta.example", "remove")


def test_policy_of_a_tenant_is_set_and_shown(fresh_api: ServedApi) -> None:
    policy = {"certificates_per_endpoint": "unlimited", "allow_ca": False}
    made = fresh_api.ask("PUT", "/v1/tenants/7", json={"domain": "pizza.example", "policy": policy})
    edited = fresh_api.ask(
        "PUT", "/v1/tenants/7", json={"domain": "pizza.example", "policy": {"certificates_per_endpoint": None}}
    )

    assert made.json()["policy"] == Policy(certificates_per_endpoint=None, allow_ca=False).settings()
    assert edited.json()["policy"] == Policy(allow_ca=False).settings()
    assert fresh_api.ask("GET", "/v1/tenants/7").json() == edited.json()
    assert edited.json() in fresh_api.ask("GET", "/v1/tenants").json()["tenants"]


@pytest.mark.parametrize(
    "policy",
    [
        {"allow_everything": True},
        {"allow_v1": 1},
        {"allow_v1": "true"},
        {"certificates_per_endpoint": 0},
        {"certificates_per_endpoint": True},
        {"certificates_per_endpoint": 1.5},
        {"certificates_per_endpoint": 2**31},
        {"certificates_per_endpoint": "many"},
        [],
        "unlimited",
    ],
)
def test_policy_of_another_form_is_refused(api: ServedApi, policy: object) -> None:
    asked = api.ask("PUT", "/v1/tenants/99", json={"domain": "x.example", "policy": policy})

    assert_problem(asked, 400, "invalid_request")
