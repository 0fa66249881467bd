"""Making, seeing and taking back tokens over HTTP; acting for another tenant; bounds to some aliases."""

from __future__ import annotations

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.certificates import self_signed
from tests.served_api import ADMIN, ServedApi, token

HOUR = timedelta(hours=1)


def body(text: str, **changed: Any) -> dict[str, Any]:
    good = {
        "name": "ci",
        "tenant": "carbon.super",
        "scopes": ["apim:ep_certificates_manage"],
        "alias_prefixes": None,
        "expires_at": (datetime.now(UTC) + HOUR).isoformat(timespec="milliseconds"),
        "token_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    return good | changed


def secret() -> str:
    return f"tc_{uuid.uuid4().hex}"


def made(api: ServedApi, **changed: Any) -> str:
    """Make a token and return its text."""
    text = secret()
    answer = api.ask("POST", "/v1/tokens", json=body(text, **changed))
    assert answer.status_code == 201, answer.text
    return text


def tenant(api: ServedApi) -> str:
    """The domain of a second tenant."""
    assert api.ask("PUT", "/v1/tenants/7", json={"domain": "abc.example", "on_expiry": "keep"}).is_success
    return "abc.example"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_token_opens_from_the_moment_it_is_made_until_it_is_taken_back(api: ServedApi) -> None:
    text = secret()
    assert api.ask("GET", "/v1/certificates", as_=text).status_code == 401

    answer = api.ask("POST", "/v1/tokens", json=body(text))
    address = answer.headers["location"]
    opened = api.ask("GET", "/v1/certificates", as_=text).status_code
    deleted = api.ask("DELETE", address)
    refused = api.ask("GET", "/v1/certificates", as_=text).status_code

    assert (answer.status_code, opened, deleted.status_code, deleted.content, refused) == (201, 200, 204, b"", 401)
    assert api.ask("GET", address).json()["revoked_at"] is not None


def test_token_is_shown_without_its_secret(api: ServedApi) -> None:
    text = secret()
    asked = body(text, alias_prefixes=["Team-A-"])

    answer = api.ask("POST", "/v1/tokens", json=asked)
    shown = answer.json()

    assert api.ask("GET", answer.headers["location"]).json() == shown
    assert shown in api.ask("GET", "/v1/tokens", params={"limit": 1000}).json()["tokens"]
    assert {
        name: shown[name] for name in ("name", "tenant", "scopes", "alias_prefixes", "created_by", "revoked_at")
    } == {
        "name": "ci",
        "tenant": "carbon.super",
        "scopes": ["apim:ep_certificates_manage"],
        "alias_prefixes": ["team-a-"],
        "created_by": "admin",
        "revoked_at": None,
    }
    assert asked["token_sha256"] not in answer.text
    assert text not in answer.text


def test_same_request_fifty_times_at_once_makes_one_token(api: ServedApi) -> None:
    asked, key = body(secret(), name=uuid.uuid4().hex), {"Idempotency-Key": uuid.uuid4().hex}

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: api.ask("POST", "/v1/tokens", json=asked, headers=key), range(50)))

    assert {(answer.status_code, answer.text, answer.headers["location"]) for answer in answers} == {
        (201, answers[0].text, answers[0].headers["location"])
    }
    listed = api.ask("GET", "/v1/tokens", params={"limit": 1000}).json()["tokens"]
    assert [one["name"] for one in listed].count(asked["name"]) == 1


def test_same_key_for_another_token_is_refused(api: ServedApi) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    api.ask("POST", "/v1/tokens", json=body(secret()), headers=key)

    assert code(api.ask("POST", "/v1/tokens", json=body(secret()), headers=key)) == (422, "idempotency_key_reused")


def test_taking_back_twice_is_one_effect(api: ServedApi) -> None:
    address = api.ask("POST", "/v1/tokens", json=body(secret())).headers["location"]
    key = {"Idempotency-Key": uuid.uuid4().hex}

    answers = [api.ask("DELETE", address, headers=headers) for headers in (key, key, {})]

    assert [answer.status_code for answer in answers] == [204, 204, 204]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_token_that_is_not_there_is_not_found(api: ServedApi, method: str) -> None:
    assert code(api.ask(method, f"/v1/tokens/{uuid.uuid4()}")) == (404, "token_not_found")


def test_all_that_is_wrong_with_a_token_is_said_at_once(api: ServedApi) -> None:
    wrong = body(secret(), tenant="nowhere.example", scopes=["root"], expires_at="2020-01-01T00:00:00Z")

    answer = api.ask("POST", "/v1/tokens", json=wrong)

    assert code(answer) == (400, "invalid_request")
    assert {(one["field"], one["code"]) for one in answer.json()["errors"]} == {
        ("tenant", "tenant_unknown"),
        ("scopes", "scope_unknown"),
        ("expires_at", "expiry_out_of_range"),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\0"),
        ("scopes", []),
        ("scopes", "trustcast:admin"),
        ("alias_prefixes", "a"),
        ("alias_prefixes", [""]),
        ("alias_prefixes", ["a" * 256]),
        ("expires_at", "tomorrow"),
        ("expires_at", None),
        ("token_sha256", "tc_secret"),
        ("token_sha256", "A" * 64),
        ("token_sha256", "a" * 65),
        ("colour", "blue"),
    ],
)
def test_token_of_another_form_is_refused(api: ServedApi, field: str, value: object) -> None:
    assert code(api.ask("POST", "/v1/tokens", json=body(secret(), **{field: value}))) == (400, "invalid_request")


def test_token_without_an_end_is_refused(api: ServedApi) -> None:
    endless = {name: value for name, value in body(secret()).items() if name != "expires_at"}

    assert code(api.ask("POST", "/v1/tokens", json=endless)) == (400, "invalid_request")


def test_same_secret_is_one_token(api: ServedApi) -> None:
    text = made(api)

    assert code(api.ask("POST", "/v1/tokens", json=body(text))) == (409, "token_exists")
    assert code(api.ask("POST", "/v1/tokens", json=body(token("g1")))) == (409, "token_exists")


def test_administrator_acts_for_another_tenant(api: ServedApi) -> None:
    acting = {"Trustcast-Tenant": tenant(api).upper()}
    name = uuid.uuid4().hex

    accepted = api.upload(name, self_signed(f"{name}.example"), headers=acting)
    at = accepted.headers["location"]

    theirs = made(api, tenant="abc.example")
    assert [api.ask("GET", at, headers=acting).status_code, api.ask("GET", at, as_=theirs).status_code] == [200, 200]
    assert api.ask("GET", at).status_code == 404
    assert api.ask("GET", at, headers={"Trustcast-Tenant": "carbon.super"}).status_code == 404


@pytest.mark.parametrize("domain", ["nowhere.example", "", "7", "abc.example,carbon.super", "a" * 300, "\xe4\xff"])
def test_tenant_that_is_not_there_is_said(api: ServedApi, domain: str) -> None:
    headers = {b"Trustcast-Tenant": domain.encode("latin-1")}

    assert code(api.ask("GET", "/v1/certificates", headers=headers)) == (400, "tenant_unknown")


def test_two_tenants_at_once_are_refused(api: ServedApi) -> None:
    both = [("Authorization", f"Bearer {ADMIN}"), *([("Trustcast-Tenant", "carbon.super")] * 2)]

    assert code(api.ask("GET", "/v1/certificates", as_=None, headers=both)) == (400, "tenant_unknown")


def test_nobody_else_acts_for_a_tenant_not_even_for_their_own(api: ServedApi) -> None:
    everything = ["apim:api_manage", "apim:ep_certificates_manage"]
    tokens = [
        made(api, scopes=[*everything, "trustcast:gateways"]),
        made(api, scopes=everything, tenant=tenant(api)),
        token("g1"),
    ]

    found = {
        code(api.ask("GET", "/v1/certificates", as_=one, headers={"Trustcast-Tenant": domain}))
        for one in tokens
        for domain in ("carbon.super", "abc.example", "nowhere.example")
    }

    assert found == {(403, "forbidden")}


def test_token_bounded_to_some_aliases_changes_no_others(api: ServedApi) -> None:
    bounded, prefix = made(api, alias_prefixes=["Team-A-"]), f"TEAM-a-{uuid.uuid4().hex}"
    files = {"certificate": self_signed("team.example").pem}

    def upload(alias: str) -> httpx.Response:
        data = {"alias": alias, "endpoint": "https://team.example"}
        return api.ask("POST", "/v1/certificates", as_=bounded, data=data, files=files)

    assert upload(prefix).status_code == 202
    for alias in ("team-b-web", "team-a", "xteam-a-web", "web"):
        assert upload(alias).status_code == 403
        assert api.ask("DELETE", f"/v1/certificates/{alias}", as_=bounded).status_code == 403
        assert api.ask("PUT", f"/v1/certificates/{alias}", as_=bounded, files=files).status_code == 403
        assert api.ask("POST", f"/v1/certificates/{alias}/rotation", as_=bounded, files=files).status_code == 403
    assert api.ask("GET", "/v1/certificates", as_=bounded).status_code == 200


def test_token_bounded_to_some_aliases_changes_no_api(api: ServedApi) -> None:
    """An API decides where certificates go whatever their aliases are, and may stand in the way of others' uploads."""
    bounded = made(api, scopes=["apim:api_manage"], alias_prefixes=["team-a-"])
    pizza = {"name": uuid.uuid4().hex, "version": "1", "context": "/p", "provider": "p", "type": "HTTP/REST"}
    at = api.ask("POST", "/v1/apis", json=pizza).headers["location"]

    answers = [
        api.ask("POST", "/v1/apis", as_=bounded, json=pizza | {"name": "other"}),
        api.ask("PUT", at, as_=bounded, json=pizza | {"type": "WS"}),
        api.ask("DELETE", at, as_=bounded),
    ]

    assert [code(answer) for answer in answers] == [(403, "apis_not_allowed")] * 3
    assert api.ask("GET", at, as_=bounded).json()["type"] == "HTTP/REST"


def test_how_much_all_tenants_together_trust_is_for_those_who_may_look_at_truststores(api: ServedApi) -> None:
    entries = {}
    for scope in ("apim:ep_certificates_view", "trustcast:gateways"):
        text = made(api, scopes=[scope])
        listed = api.ask("GET", "/v1/environments", as_=text).json()["environments"]
        one = api.ask("GET", "/v1/environments/default", as_=text).json()
        assert one in listed
        entries[scope] = one["entries"]

    assert entries["apim:ep_certificates_view"] is None
    assert entries["trustcast:gateways"] >= 0
