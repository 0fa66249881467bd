"""`Idempotency-Key` on every route that changes something: one effect and one answer, whatever happens in between."""

from __future__ import annotations

import hashlib
import http.client
import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from tests.certificates import self_signed
from tests.integration.conftest import Maker
from tests.integration.test_api_doors import assert_problem
from tests.integration.test_certificate_life import report_everywhere
from tests.integration.test_whole_path import answers
from tests.processes import running, until
from tests.publisher import working
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, environ, token
from trustcast.storage.tables import audit_event, gateway_report, idempotency_key
from trustcast_cli import free_port

TIMES = 50
CHANGING = {"post", "put", "patch", "delete"}


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent again and again."""

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    token: str = ADMIN

    def send(self, client: httpx.Client, key: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key} | self.options.get("headers", {})
        return client.request(self.method, self.path, **self.options | {"headers": headers})


Case = Callable[[ServedApi], tuple[Request, Request]]  # a request, and another one of the same route


def some(what: str = "web") -> str:
    return f"{what}-{uuid.uuid4().hex[:12]}"


def file(host: str = "new.example") -> dict[str, Any]:
    return {"files": {"certificate": ("c.crt", self_signed(host).pem)}}


def upload(alias: str) -> dict[str, Any]:
    return {"data": {"alias": alias, "endpoint": f"https://{alias}.example"}, **file(f"{alias}.example")}


def bulk(alias: str) -> dict[str, Any]:
    made = self_signed(f"{alias}.example")
    line = {"alias": alias, "endpoint": f"https://{alias}.example", "certificate": made.pem.decode()}
    return {"content": json.dumps(line), "headers": {"Content-Type": "application/x-ndjson"}}


def trusted(api: ServedApi, alias: str = "") -> str:
    alias = alias or some()
    assert api.upload(alias, self_signed(f"{alias}.example")).status_code == 202
    api.work()
    return alias


def rotated(api: ServedApi) -> str:
    alias = trusted(api)
    assert api.ask("POST", f"/v1/certificates/{alias}/rotation", **file()).status_code == 202
    api.work()
    return alias


def both(method: str, path: str, first: dict[str, Any], second: dict[str, Any]) -> tuple[Request, Request]:
    one = Request(method, path, first)
    return one, replace(one, options=second)


def uploaded(api: ServedApi) -> tuple[Request, Request]:
    return both("POST", "/v1/certificates", upload(some()), upload(some()))


def uploaded_as_lines(_api: ServedApi) -> tuple[Request, Request]:
    return both("POST", "/v1/certificates/bulk", bulk(some()), bulk(some()))


def replaced(api: ServedApi) -> tuple[Request, Request]:
    return both("PUT", f"/v1/certificates/{trusted(api)}", file(), file())


def deleted(api: ServedApi) -> tuple[Request, Request]:
    one = Request("DELETE", f"/v1/certificates/{trusted(api)}")
    return one, replace(one, options={"params": {"force": "true"}})


def rotation_begun(api: ServedApi) -> tuple[Request, Request]:
    return both("POST", f"/v1/certificates/{trusted(api)}/rotation", file(), file())


def rotation_finished(api: ServedApi) -> tuple[Request, Request]:
    one, other = (Request("POST", f"/v1/certificates/{rotated(api)}/rotation/finish") for _ in range(2))
    report_everywhere(api)
    return one, other


def rotation_cancelled(api: ServedApi) -> tuple[Request, Request]:
    one, other = (Request("POST", f"/v1/certificates/{rotated(api)}/rotation/cancel") for _ in range(2))
    return one, other


def scheduled(api: ServedApi) -> str:
    alias, at = some(), datetime.now(UTC) + timedelta(days=1)
    told = upload(alias)
    answer = api.ask("POST", "/v1/certificates", **told | {"data": told["data"] | {"activate_at": at.isoformat()}})
    assert answer.status_code == 202, answer.text
    identity: str = answer.json()["id"]
    return identity


def scheduled_one_cancelled(api: ServedApi) -> tuple[Request, Request]:
    one, other = (Request("POST", f"/v1/operations/{scheduled(api)}/cancel") for _ in range(2))
    return one, other


def batch_cancelled(api: ServedApi) -> tuple[Request, Request]:
    ids = [api.ask("POST", "/v1/certificates/bulk", **bulk(some())).json()["id"] for _ in range(2)]
    one, other = (Request("POST", f"/v1/batches/{each}/cancel") for each in ids)
    return one, other


def api_body(name: str) -> dict[str, Any]:
    endpoints = {"production": {"kind": "single", "urls": ["https://x.example"]}, "sandbox": None}
    told = {"version": "1", "context": "/x", "provider": "p", "type": "HTTP/REST", "endpoints": endpoints}
    return {"json": told | {"name": name}}


def api_registered(api: ServedApi) -> tuple[Request, Request]:
    return both("POST", "/v1/apis", api_body(some("api")), api_body(some("api")))


def registered(api: ServedApi) -> str:
    identity: str = api.ask("POST", "/v1/apis", **api_body(some("api"))).json()["id"]
    return identity


def api_changed(api: ServedApi) -> tuple[Request, Request]:
    return both("PUT", f"/v1/apis/{registered(api)}", api_body(some("api")), api_body(some("api")))


def api_removed(api: ServedApi) -> tuple[Request, Request]:
    one, other = (Request("DELETE", f"/v1/apis/{registered(api)}") for _ in range(2))
    return one, other


def environment_put(api: ServedApi) -> tuple[Request, Request]:
    described = [{"json": {"type": "hybrid", "description": some()}} for _ in range(2)]
    return both("PUT", f"/v1/environments/{some('environment')}", *described)


def tenant_put(api: ServedApi) -> tuple[Request, Request]:
    bodies = [{"json": {"domain": f"{some()}.example", "on_expiry": "keep"}} for _ in range(2)]
    return both("PUT", f"/v1/tenants/{uuid.uuid4().int % 2**30 + 1}", *bodies)


def token_body() -> dict[str, Any]:
    ends = datetime.now(UTC) + timedelta(hours=1)
    secret = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    told = {"name": "ci", "scopes": ["apim:api_view"], "expires_at": ends.isoformat(), "token_sha256": secret}
    return {"json": told}


def token_made(api: ServedApi) -> tuple[Request, Request]:
    return both("POST", "/v1/tokens", token_body(), token_body())


def token_revoked(api: ServedApi) -> tuple[Request, Request]:
    ids = [api.ask("POST", "/v1/tokens", **token_body()).json()["id"] for _ in range(2)]
    one, other = (Request("DELETE", f"/v1/tokens/{each}") for each in ids)
    return one, other


def reported(api: ServedApi) -> tuple[Request, Request]:
    told = {"environment": "default", "generation": 0, "entries_sha256": None, "phase": "failed", "code": "disk_full"}
    one = Request("POST", "/v1/gateways/g1/reports", {"json": told}, token("g1"))
    return one, replace(one, options={"json": told | {"code": "disk_broken"}})


def of_wso2(version: str, resource: str) -> dict[str, Case]:
    """The same three of every version; a delete names another alias, for it has nothing else."""
    root = f"/api/am/publisher/{version}/{resource}"
    of_versions = "v0.14" if version == "v0.14" else "{version}"
    documented = f"/api/am/publisher/{of_versions}/{resource}"

    def delete_twice(api: ServedApi) -> tuple[Request, Request]:
        one, other = (Request("DELETE", f"{root}/{trusted(api)}") for _ in range(2))
        return one, other

    return {
        f"POST {documented}": lambda _api: both("POST", root, upload(some()), upload(some())),
        f"PUT {documented}/{{alias}}": lambda api: both("PUT", f"{root}/{trusted(api)}", file(), file()),
        f"DELETE {documented}/{{alias}}": delete_twice,
    }


CASES: dict[str, Case] = {
    "POST /v1/certificates": uploaded,
    "POST /v1/certificates/bulk": uploaded_as_lines,
    "PUT /v1/certificates/{alias}": replaced,
    "DELETE /v1/certificates/{alias}": deleted,
    "POST /v1/certificates/{alias}/rotation": rotation_begun,
    "POST /v1/certificates/{alias}/rotation/finish": rotation_finished,
    "POST /v1/certificates/{alias}/rotation/cancel": rotation_cancelled,
    "POST /v1/operations/{id}/cancel": scheduled_one_cancelled,
    "POST /v1/batches/{id}/cancel": batch_cancelled,
    "POST /v1/apis": api_registered,
    "PUT /v1/apis/{id}": api_changed,
    "DELETE /v1/apis/{id}": api_removed,
    "PUT /v1/environments/{name}": environment_put,
    "PUT /v1/tenants/{id}": tenant_put,
    "POST /v1/tokens": token_made,
    "DELETE /v1/tokens/{id}": token_revoked,
    "POST /v1/gateways/{name}/reports": reported,
    **of_wso2("v4", "endpoint-certificates"),
    **of_wso2("v0.14", "certificates"),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, maker: Maker) -> Iterator[ServedApi]:
    with maker.serving(request.param, tmp_path_factory.mktemp(request.param)) as running_api:
        yield running_api


def effects(api: ServedApi) -> int:
    """How many things happened because somebody asked: what is audited, and what gateways reported.

    A batch is what its lines are: each of them is an event of its own.
    """
    of = audit_event.c
    besides = ["request.refused", "batch.accepted", "batch.completed"]
    asked = select(func.count()).where(of.actor.not_in(["worker", "api"]), of.action.not_in(besides))
    with api.database.reading() as transaction:
        reports = transaction.execute(select(func.count()).select_from(gateway_report)).scalar_one()
        return transaction.execute(asked).scalar_one() + reports


def test_every_route_that_changes_something_takes_a_key_and_is_tried_here(api: ServedApi) -> None:
    document = api.ask("GET", "/openapi.json", as_=None).json()
    changing = {
        f"{method.upper()} {path}": [one["name"].lower() for one in told.get("parameters", []) if one["in"] == "header"]
        for path, of_path in document["paths"].items()
        for method, told in of_path.items()
        if method in CHANGING
    }

    assert changing.keys() == CASES.keys()
    assert [name for name, headers in changing.items() if "idempotency-key" not in headers] == []


@pytest.mark.parametrize("name", CASES)
def test_same_key_many_times_at_once_is_one_effect_and_one_answer(api: ServedApi, name: str) -> None:
    (wanted, other), key = CASES[name](api), uuid.uuid4().hex
    before = effects(api)

    # WSO2's routes answer when the worker has decided; the answers of ours would tell how far it is.
    with working(api) if "publisher" in name else nullcontext(), many_connections(api) as client:
        with ThreadPoolExecutor(TIMES) as pool:
            got = list(pool.map(lambda _: wanted.send(client, key), range(TIMES)))
        refused = other.send(client, key)
        again = wanted.send(client, key)

    assert {(one.status_code, one.content, one.headers.get("location")) for one in [*got, again]} == {
        (got[0].status_code, got[0].content, got[0].headers.get("location"))
    }
    assert got[0].is_success, got[0].text
    assert (refused.status_code, effects(api) - before) == (422, 1), refused.text
    if "publisher" not in name:
        assert_problem(refused, 422, "idempotency_key_reused")


def many_connections(api: ServedApi) -> httpx.Client:
    client = api.client(None)
    client.timeout = httpx.Timeout(60)
    return client


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_key_that_is_none_is_refused(api: ServedApi, key: str) -> None:
    with api.client(None) as client:
        answer = uploaded(api)[0].send(client, key)

    assert assert_problem(answer, 400, "invalid_request")["errors"][0]["field"] == "Idempotency-Key"


def test_keys_of_two_principals_and_of_two_tenants_are_their_own(api: ServedApi) -> None:
    domain = f"{some()}.example"
    path = f"/v1/tenants/{uuid.uuid4().int % 2**30 + 1}"
    assert api.ask("PUT", path, json={"domain": domain, "on_expiry": "keep"}).status_code == 201
    secret = uuid.uuid4().hex
    body = token_body()["json"] | {"token_sha256": hashlib.sha256(secret.encode()).hexdigest()}
    assert api.ask("POST", "/v1/tokens", json=body | {"scopes": ["apim:api_manage"]}).status_code == 201
    request, name = api_body(some("api")), some("key")
    theirs = api_body(some("api"))

    mine = api.ask("POST", "/v1/apis", headers={"Idempotency-Key": name}, **request)
    tenants = api.ask("POST", "/v1/apis", headers={"Idempotency-Key": name, "Trustcast-Tenant": domain}, **request)
    others = api.ask("POST", "/v1/apis", as_=secret, headers={"Idempotency-Key": name}, **theirs)

    assert [one.status_code for one in (mine, tenants, others)] == [201, 201, 201]
    assert len({one.json()["id"] for one in (mine, tenants, others)}) == 3


def test_refused_request_leaves_its_key_free(api: ServedApi) -> None:
    """What was refused had no effect: mended, it may come with the same key."""
    alias, key = some(), some("key")
    wrong = Request("POST", "/v1/certificates", upload(alias) | {"data": {"alias": alias, "endpoint": "nonsense"}})
    with api.client(None) as client:
        refused = wrong.send(client, key)
        mended = Request("POST", "/v1/certificates", upload(alias)).send(client, key)

    assert (refused.status_code, mended.status_code) == (400, 202)


def test_api_that_is_killed_between_commit_and_answer_gives_the_answer_when_it_is_asked_again(
    database_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_environment(database_url, "other")
    port = free_port.checked("127.0.0.1", 0)
    told = environ(tmp_path, database_url, redis_server.url) | {"TRUSTCAST_API_PORT": str(port)}
    api = ServedApi(f"http://127.0.0.1:{port}", database_url, tmp_path)
    cut_off: list[tuple[Request, str]] = []
    for number, case in enumerate((uploaded, api_registered), start=1):
        with running("trustcast_api", told, tmp_path / "api.log") as service:
            until(lambda: answers(api))
            request, key = case(api)[0], some("key")
            with without_an_answer(api, request, key):
                until(partial(has_keys, api, number))
                service.process.kill()
        cut_off.append((request, key))

    with running("trustcast_api", told, tmp_path / "api.log"):
        until(lambda: answers(api))
        with api.client(None) as client:
            got = [request.send(client, key) for request, key in cut_off]

        assert [one.status_code for one in got] == [202, 201]
        assert [api.ask("GET", one.headers["location"]).json()["id"] for one in got] == [
            one.json()["id"] for one in got
        ]
        assert effects(api) == 2
    api.database.close()


@contextmanager
def without_an_answer(api: ServedApi, request: Request, key: str) -> Iterator[None]:
    """Send the request, byte for byte as the client would, and never read what comes back."""
    with api.client(request.token) as client:
        built = client.build_request(request.method, request.path, headers={"Idempotency-Key": key}, **request.options)
        body = built.read()
    with closing(http.client.HTTPConnection(built.url.host, built.url.port)) as connection:
        connection.request(request.method, request.path, body=body, headers=dict(built.headers))
        yield


def has_keys(api: ServedApi, number: int) -> bool:
    with api.database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(idempotency_key)).scalar_one() == number
