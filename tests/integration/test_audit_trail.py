"""`/v1/audit`: everything that was done and everything that was refused: who, from where, which certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served
from trustcast.storage import audit
from trustcast_api.refusals import PER_WINDOW

Event = dict[str, Any]


@pytest.fixture
def api(fresh_api: ServedApi) -> Iterator[ServedApi]:
    yield fresh_api
    with fresh_api.database.reading() as transaction:
        audit.verify(transaction)


ENROLLED = 3  # the api's gateways, the first that is told


def events(api: ServedApi, **filters: Any) -> list[Event]:
    answer = api.ask("GET", "/v1/audit", params={"limit": 1000, "after": ENROLLED, **filters})
    assert answer.status_code == 200, answer.text
    found: list[Event] = answer.json()["events"]
    return found


def newest(api: ServedApi, action: str) -> Event:
    return events(api, action=action)[-1]


def made_token(api: ServedApi, *scopes: str, **more: Any) -> str:
    secret = "tc_" + hashlib.sha256(repr((scopes, more)).encode()).hexdigest()
    body = {
        "name": "mallory",
        "scopes": list(scopes),
        "token_sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    answer = api.ask("POST", "/v1/tokens", json=body | more)
    assert answer.status_code == 201, answer.text
    return secret


def test_life_of_a_certificate_is_told_with_fingerprints_operation_and_address(api: ServedApi) -> None:
    first, second = self_signed("web.example"), self_signed("web.example")
    added = api.upload("Web", first).json()["id"]
    api.work()
    replaced = api.ask("PUT", "/v1/certificates/web", files={"certificate": second.pem}).json()["id"]
    api.work()
    deleted = api.ask("DELETE", "/v1/certificates/web").json()["id"]
    api.work()

    told = [(one["action"], one["actor"], one["address"], one["facts"]["operation"]) for one in events(api)]
    assert told == [
        line
        for operation in (added, replaced, deleted)
        for line in (
            ("operation.accepted", "admin", "127.0.0.1", operation),
            ("operation.applied", "worker", None, operation),
        )
    ]
    applied = [one["facts"] for one in events(api, action="operation.applied")]
    assert [(one["before_sha256"], one["sha256"]) for one in applied] == [
        (None, first.fingerprint_sha256),
        (first.fingerprint_sha256, second.fingerprint_sha256),
        (second.fingerprint_sha256, None),
    ]
    assert {(one["tenant"], one["tenant_id"]) for one in events(api)} == {("carbon.super", -1234)}


def test_pages_follow_one_another_exactly(api: ServedApi) -> None:
    for number in range(7):
        api.upload(f"web-{number}", self_signed(f"web-{number}.example"))
    after, pages = ENROLLED, []
    while after is not None:
        page = api.ask("GET", "/v1/audit", params={"after": after, "limit": 3, "action": "operation.accepted"}).json()
        pages.append([one["sequence"] for one in page["events"]])
        after = page["next"]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert sum(pages, []) == [one["sequence"] for one in events(api, action="operation.accepted")]  # noqa: RUF017 - 7


def test_last_page_that_is_full_has_no_next(api: ServedApi) -> None:
    for number in range(2):
        api.upload(f"web-{number}", self_signed(f"web-{number}.example"))

    page = api.ask("GET", "/v1/audit", params={"limit": 2, "after": ENROLLED}).json()
    assert (len(page["events"]), page["next"]) == (2, None)
    assert page["tail"] == {"sequence": ENROLLED + 2, "sha256": page["events"][-1]["sha256"]}
    assert events(api, after=ENROLLED + 2) == []


def test_events_are_found_by_tenant_actor_and_action(api: ServedApi) -> None:
    api.ask("PUT", "/v1/tenants/7", json={"domain": "abc.example", "on_expiry": "keep"})
    api.upload("web", self_signed("web.example"))
    api.upload("theirs", self_signed("theirs.example"), headers={"Trustcast-Tenant": "ABC.example"})
    api.work()

    assert {one["facts"].get("alias") for one in events(api, tenant="Abc.example")} == {None, "theirs"}  # and it came
    assert {one["tenant_id"] for one in events(api, tenant="abc.example")} == {7}
    assert {one["actor"] for one in events(api, actor="worker")} == {"worker"}
    assert events(api, actor="nobody") == []
    [one] = events(api, tenant="abc.example", actor="admin", action="operation.accepted")
    assert (one["tenant"], one["facts"]["alias"]) == ("abc.example", "theirs")


def test_gateways_that_come_and_go_are_told(
    sqlite_url: str, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_environment(sqlite_url, "other")
    for names in ({"g1": "default", "g2": "default"}, {"g1": "default", "g3": "other"}, {"g1": "other"}):
        monkeypatch.setattr("tests.served_api.GATEWAYS", names)
        for _ in range(2):  # the second start is no news
            with served(tmp_path, sqlite_url, redis_server.url):
                pass
    with served(tmp_path, sqlite_url, redis_server.url) as api:
        told = [(one["action"], *one["facts"].values()) for one in events(api, after=0)]

    assert told == [
        ("gateway.enrolled", "default", "g1"),
        ("gateway.enrolled", "default", "g2"),
        ("gateway.retired", "default", "g2"),
        ("gateway.enrolled", "other", "g3"),
        ("gateway.retired", "other", "g3"),
        ("gateway.enrolled", "other", "g1"),
    ]


def test_what_was_asked_for_beyond_the_usual_is_told(api: ServedApi) -> None:
    api.upload("web", self_signed("web.example"))
    api.work()
    api.ask("DELETE", "/v1/certificates/web", params={"force": "true"})

    plain, forced = (one["facts"] for one in events(api, action="operation.accepted"))
    assert forced.items() >= {"force": True, "kind": "delete"}.items()
    assert "force" not in plain


def test_tenant_that_does_not_exist_is_said(api: ServedApi) -> None:
    answer = api.ask("GET", "/v1/audit", params={"tenant": "nobody.example"})

    assert (answer.status_code, answer.json()["code"]) == (400, "tenant_unknown")


@pytest.mark.parametrize("filters", [{"after": -1}, {"limit": 0}, {"limit": 1001}, {"after": "x"}, {"actor": "\0"}])
def test_filter_that_is_none_is_refused(api: ServedApi, filters: dict[str, Any]) -> None:
    assert api.ask("GET", "/v1/audit", params=filters).status_code == 400


def test_what_somebody_may_not_do_is_told(api: ServedApi) -> None:
    reader = made_token(api, "apim:api_view")
    for method, path in (("DELETE", "/v1/certificates/Web"), ("GET", "/v1/audit")):
        assert api.ask(method, path, as_=reader).status_code == 403

    deleting, reading = events(api, action="request.refused")
    assert deleting["actor"].startswith("token:")
    assert (deleting["tenant"], deleting["address"]) == ("carbon.super", "127.0.0.1")
    assert deleting["facts"] == {
        "code": "forbidden",
        "status": 403,
        "method": "DELETE",
        "route": "/v1/certificates/{alias}",
        "alias": "Web",
    }
    assert (reading["facts"]["route"], reading["facts"]["method"]) == ("/v1/audit", "GET")


def test_private_key_at_the_door_is_told_and_is_not_in_what_is_told(api: ServedApi) -> None:
    made = self_signed("web.example")
    fields = {"alias": "web", "endpoint": "https://web.example"}
    answer = api.ask("POST", "/v1/certificates", data=fields, files={"certificate": made.key_pem})
    assert answer.status_code == 400

    told = newest(api, "request.refused")
    assert (told["actor"], told["facts"]["code"]) == ("admin", answer.json()["code"])
    assert b"PRIVATE" not in answer.content
    assert "PRIVATE" not in str(events(api))


def test_several_faults_at_the_door_are_told_by_their_codes(api: ServedApi) -> None:
    answer = api.ask("POST", "/v1/certificates", data={"alias": "-", "endpoint": "x"}, files={"certificate": b"x"})

    told = newest(api, "request.refused")["facts"]
    assert (told["code"], told["codes"]) == (
        "invalid_request",
        sorted({one["code"] for one in answer.json()["errors"]}),
    )


def test_refusal_of_the_policy_is_told_with_its_operation(api: ServedApi) -> None:
    begin = datetime.now(UTC) - timedelta(days=30)
    made = self_signed("web.example", not_before=begin, days=10)
    operation = api.upload("web", made).json()["id"]
    api.work()

    assert newest(api, "operation.rejected")["facts"] == {
        "operation": operation,
        "kind": "add",
        "alias": "web",
        "sha256": made.fingerprint_sha256,
        "code": "certificate_expired",
    }


def test_what_the_administrator_does_about_a_tenant_is_found_there(api: ServedApi) -> None:
    api.ask("PUT", "/v1/tenants/7", json={"domain": "abc.example", "on_expiry": "keep"})
    asked = {
        "name": "ci",
        "tenant": "abc.example",
        "scopes": ["apim:api_view"],
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds"),
        "token_sha256": "ab" * 32,
    }
    at = api.ask("POST", "/v1/tokens", json=asked).headers["location"]
    api.ask("DELETE", at)

    events = api.ask("GET", "/v1/audit", params={"tenant": "abc.example", "limit": 1000}).json()["events"]
    about = [one for one in events if one["action"].startswith(("tenant.", "token."))]

    assert [one["action"] for one in about] == ["tenant.created", "token.created", "token.revoked"]
    assert {(one["actor"], one["facts"]["actor_tenant"]) for one in about} == {("admin", -1234)}


def test_conflict_is_told(api: ServedApi) -> None:
    body: dict[str, Any] = {
        "name": "PizzaShack",
        "version": "1",
        "context": "/p",
        "provider": "admin",
        "type": "HTTP/REST",
    }
    body |= {"endpoints": {"production": None, "sandbox": None}}
    statuses = [api.ask("POST", "/v1/apis", json=body).status_code for _ in range(2)]

    assert statuses == [201, 409]
    assert newest(api, "request.refused")["facts"]["code"] == "api_exists"


def test_refusal_through_wso2s_routes_is_told_too(api: ServedApi) -> None:
    reader = made_token(api, "apim:api_view")
    answer = api.ask("DELETE", "/api/am/publisher/v4/endpoint-certificates/web", as_=reader)
    assert answer.status_code == 403

    assert (
        newest(api, "request.refused")["facts"]["route"] == "/api/am/publisher/{version}/endpoint-certificates/{alias}"
    )


def test_what_is_not_there_or_not_known_is_not_told(api: ServedApi) -> None:
    for method, path in (("DELETE", "/v1/certificates/web"), ("GET", "/v1/certificates/web"), ("POST", "/v1/nothing")):
        assert api.ask(method, path).status_code == 404
    assert api.ask("DELETE", "/v1/certificates/web", as_="wrong").status_code == 401
    assert api.ask("GET", "/v1/certificates", params={"limit": 0}).status_code == 400

    assert events(api) == []


def test_whoever_is_refused_again_and_again_does_not_fill_the_disk(api: ServedApi) -> None:
    reader = made_token(api, "apim:api_view")
    with api.client(reader) as client:
        assert {client.delete("/v1/certificates/web").status_code for _ in range(PER_WINDOW * 4)} == {403}

    assert len(events(api, action="request.refused")) == PER_WINDOW


def test_number_of_refusals_that_were_not_told_is_told_when_the_api_stops(
    database_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_environment(database_url, "other")
    with served(tmp_path, database_url, redis_server.url) as api:
        reader = made_token(api, "apim:api_view")
        for _ in range(PER_WINDOW + 2):
            api.ask("DELETE", "/v1/certificates/web", as_=reader)
    with served(tmp_path, database_url, redis_server.url) as api:
        door = {"method": "DELETE", "route": "/v1/certificates/{alias}"}
        assert newest(api, "refusals.counted")["facts"] == {"code": "forbidden", "left_out": 2} | door


@pytest.mark.parametrize("alias", ["-----BEGIN PRIVATE KEY-----", "MY PRIVATE KEY", "a;b"])
def test_alias_that_is_none_or_looks_like_a_key_is_left_out(api: ServedApi, alias: str) -> None:
    reader = made_token(api, "apim:api_view")
    assert api.ask("DELETE", f"/v1/certificates/{alias}", as_=reader).status_code == 403

    assert "alias" not in newest(api, "request.refused")["facts"]
