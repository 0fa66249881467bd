"""Who may do what: every route, every scope, every owner, as the api's own document says.

The document is made from what guards the routes, so `OPEN_TO` says by hand what the native routes have to be open to;
WSO2's are in `test_publisher_scopes.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.certificates import self_signed
from tests.databases import SqliteFiles
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, served, token
from trustcast.storage import tokens
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import scopes

PUBLIC = {("GET", "/healthz"), ("GET", "/readyz")}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ABC = 7
DOMAINS = {SUPER_TENANT: "carbon.super", ABC: "abc.example"}
# What a tenant does not learn of another tenant is answered as what is not there, and that is 404 but for one place:
# WSO2's usage of an unknown alias is an empty list.
EMPTY_IF_UNKNOWN = "/api/am/publisher/{version}/endpoint-certificates/{alias}/usage"

REFUSALS = {401, 403, 500}

Operation = tuple[str, str]


@dataclass(frozen=True)
class Caller:
    """Somebody with a token, or without one."""

    name: str
    token: str | None
    scope: str | None = None  # of a good token
    tenant_id: int = SUPER_TENANT
    gateway: str | None = None
    environment: str | None = None


@dataclass
class Doors:
    """A running api with two tenants that have one of everything, and everybody who may come."""

    api: ServedApi
    client: httpx.Client
    document: dict[str, Any]
    callers: list[Caller] = field(default_factory=list)
    things: dict[int, dict[str, str]] = field(default_factory=dict)

    def operations(self) -> Iterator[tuple[Operation, dict[str, Any]]]:
        for path, methods in self.document["paths"].items():
            for method, told in methods.items():
                yield (method.upper(), path), told

    def send(self, operation: Operation, caller: Caller, content: bytes, kind: str) -> httpx.Response:
        """Name what is not there, and send whatever this is."""
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {caller.token}"} if caller.token else {})
        method, path = operation
        return self.client.request(method, _filled(path, NOTHING), headers=headers, content=content)

    def ask(self, operation: Operation, caller: Caller, things: dict[str, str]) -> httpx.Response:
        method, path = operation
        headers = {"Authorization": f"Bearer {caller.token}"} if caller.token is not None else {}
        content = _content(operation)
        headers |= content.pop("headers", {})
        return self.client.request(method, _filled(path, things), headers=headers, **content)


def _filled(path: str, things: dict[str, str]) -> str:
    alias = things["rotated"] if "/rotation" in path else things["alias"]
    kinds = ("operations", "batches", "apis", "tenants", "tokens")
    kind = next((kind for kind in kinds if f"/{kind}/" in path), "")
    name = things["gateway"] if "/gateways/" in path else things["environment"]
    return path.format(alias=alias, name=name, version=things.get("version", "v4"), id=things.get(kind, ""))


MADE = self_signed("new.example")
API = {
    "version": "1",
    "context": "/x",
    "provider": "p",
    "type": "HTTP/REST",
    "endpoints": {"production": {"kind": "single", "urls": ["https://x.example"]}, "sandbox": None},
}
REPORT = {"environment": "default", "generation": 0, "entries_sha256": None, "phase": "failed", "code": "disk_full"}


def _content(operation: Operation) -> dict[str, Any]:
    """What these requests carry: always something good, so that nothing but the caller decides."""
    method, path = operation
    if method not in {"POST", "PUT"} or path.endswith(("/finish", "/cancel")):
        return {}
    if path.endswith("/bulk"):
        line = {"alias": uuid.uuid4().hex[:20], "endpoint": "https://new.example", "certificate": MADE.pem.decode()}
        return {"content": json.dumps(line), "headers": {"Content-Type": "application/x-ndjson"}}
    if "certificates" in path:
        fields = {} if "{alias}" in path else {"alias": uuid.uuid4().hex[:20], "endpoint": "https://new.example"}
        return {"data": fields, "files": {"certificate": ("c.crt", MADE.pem)}}
    unique = uuid.uuid4().hex
    bodies = {
        "/v1/apis": API | {"name": unique},
        "/v1/environments": {"type": "hybrid"},
        "/v1/gateways": REPORT,
        "/v1/tenants": {"domain": "abc.example", "on_expiry": "keep"},
        "/v1/tokens": _new_token(unique, ["apim:api_view"]),
    }
    return {"json": next((body for start, body in bodies.items() if path.startswith(start)), {})}


def _new_token(text: str, names: list[str], tenant_id: int = SUPER_TENANT) -> dict[str, Any]:
    return {
        "name": "test",
        "tenant": DOMAINS[tenant_id],
        "scopes": names,
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "token_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


@pytest.fixture(scope="module")
def doors(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    url = sqlite_files.fresh(folder)
    add_environment(url, "other")
    more = {"TRUSTCAST_PUBLISHER_WAIT_SECONDS": "0.01"}
    with served(folder, url, redis_server.url, more) as api, api.client(None) as client:
        made = Doors(api, client, api.ask("GET", "/openapi.json", as_=None).json())
        assert api.ask("PUT", f"/v1/tenants/{ABC}", json={"domain": DOMAINS[ABC], "on_expiry": "keep"}).is_success
        made.callers = list(_callers(api))
        made.things = {tenant_id: _things(api, tenant_id) for tenant_id in DOMAINS}
        yield made


def _callers(api: ServedApi) -> Iterator[Caller]:
    yield Caller("nobody", None)
    yield Caller("a stranger", "tc_nobodys")
    yield Caller("an expired token", _expired(api))
    revoked = _made(api, "trustcast:admin")
    assert api.ask("DELETE", f"/v1/tokens/{revoked[1]}").status_code == 204
    yield Caller("a revoked token", revoked[0])
    yield Caller("a gateway", token("g1"), gateway="g1", environment="default")
    yield Caller("another gateway", token("g2"), gateway="g2", environment="default")
    yield Caller("a gateway elsewhere", token("elsewhere"), gateway="elsewhere", environment="other")
    yield Caller("the administrator", ADMIN, scope="trustcast:admin")
    for tenant_id, domain in DOMAINS.items():
        for scope in sorted(scopes.that_count(scopes.ALL, tenant_id=tenant_id, bounded=False)):
            text, _id = _made(api, scope, tenant_id)
            yield Caller(f"{scope} of {domain}", text, scope, tenant_id)


def _made(api: ServedApi, scope: str, tenant_id: int = SUPER_TENANT) -> tuple[str, str]:
    text = f"tc_{uuid.uuid4().hex}"
    answer = api.ask("POST", "/v1/tokens", json=_new_token(text, [scope], tenant_id))
    assert answer.status_code == 201, answer.text
    return text, answer.json()["id"]


def _expired(api: ServedApi) -> str:
    text, id_ = f"tc_{uuid.uuid4().hex}", str(uuid.uuid4())
    ended = tokens.Token(
        id=id_,
        tenant_id=SUPER_TENANT,
        name="expired",
        token_sha256=hashlib.sha256(text.encode()).hexdigest(),
        scopes=("trustcast:admin",),
        alias_prefixes=None,
        created_by="admin",
        created_at=datetime.now(UTC) - timedelta(days=2),
        expires_at=datetime.now(UTC) - timedelta(seconds=1),
    )
    with api.database.writing() as transaction:
        tokens.add(transaction, ended)
        transaction.commit()
    return text


def _things(api: ServedApi, tenant_id: int) -> dict[str, str]:
    """One of everything that belongs to a tenant, trusted and in rotation, and what belongs to nobody."""
    acting = {"Trustcast-Tenant": DOMAINS[tenant_id]}
    short = DOMAINS[tenant_id].partition(".")[0]
    for alias in (short, f"{short}-rotated"):
        assert api.upload(alias, self_signed(f"{alias}.example"), headers=acting).status_code == 202
    api.work()
    new = {"certificate": self_signed(f"{short}.example").pem}
    rotated = api.ask("POST", f"/v1/certificates/{short}-rotated/rotation", headers=acting, files=new)
    assert rotated.status_code == 202, rotated.text
    api.work()
    bulk = _content(("POST", "/v1/certificates/bulk"))
    batch = api.ask("POST", "/v1/certificates/bulk", **bulk | {"headers": bulk["headers"] | acting})
    assert batch.status_code == 202, batch.text
    registered = api.ask("POST", "/v1/apis", headers=acting, json=API | {"name": short})
    assert registered.status_code == 201, registered.text
    return {
        "alias": short,
        "rotated": f"{short}-rotated",
        "operations": rotated.json()["id"],
        "batches": batch.json()["id"],
        "apis": registered.json()["id"],
        "tenants": str(ABC),
        "tokens": _made(api, "apim:api_view", tenant_id)[1],
        "environment": "default",
        "gateway": "g1",
    }


NOTHING = {
    "alias": "nothing",
    "rotated": "nothing",
    "operations": "nothing",
    "batches": "nothing",
    "apis": "nothing",
    "tenants": "12345",
    "tokens": "nothing",
    "environment": "default",
    "gateway": "g1",
}
# What no alias and no version of WSO2's routes can be, and what no name at all.
IMPOSSIBLE = [
    NOTHING | {"alias": "caf%C3%A9", "rotated": "caf%C3%A9", "version": "v9"},
    NOTHING | {"alias": "%00", "rotated": "-----BEGIN%20PRIVATE%20KEY-----"},
]


def _opens(told: dict[str, Any], operation: Operation, caller: Caller) -> bool:
    """Tell whether the document says that this operation is open to somebody with this token."""
    if caller.scope is not None:
        return {"token": [caller.scope]} in told["security"]
    if {"gateway": []} not in told["security"] or caller.gateway is None:
        return False
    return caller.gateway == "g1" if "/gateways/" in operation[1] else caller.environment == "default"


def _is_a_tenants(operation: Operation) -> bool:
    return "{alias}" in operation[1] or operation[1] in {
        "/v1/operations/{id}",
        "/v1/batches/{id}",
        "/v1/batches/{id}/cancel",
        "/v1/apis/{id}",
    }


def _named(operation: Operation, caller: Caller, answer: httpx.Response) -> str:
    return f"{caller.name} {' '.join(operation)}: {answer.status_code} {answer.text[:120]}"


def test_every_route_stands_in_the_document_and_the_public_ones_are_named(doors: Doors) -> None:
    public = {operation for operation, told in doors.operations() if not told["security"]}

    assert public == PUBLIC


def test_document_knows_every_scope(doors: Doors) -> None:
    named = [
        name for _operation, told in doors.operations() for one in told["security"] for name in one.get("token", [])
    ]

    assert set(named) == scopes.ALL


def test_public_routes_are_for_everybody(doors: Doors) -> None:
    answers = {
        (method, path): doors.ask((method, path), caller, NOTHING).status_code
        for method, path in PUBLIC | {("GET", "/openapi.json")}
        for caller in doors.callers
    }

    assert set(answers.values()) == {200}


def test_who_is_nobody_is_asked_for_a_token_whatever_they_name(doors: Doors) -> None:
    nobodies = [one for one in doors.callers if one.scope is None and one.gateway is None]
    wrong = [
        _named(operation, caller, answer)
        for operation, told in doors.operations()
        for caller in nobodies
        for things in (doors.things[SUPER_TENANT], NOTHING, *IMPOSSIBLE)
        if told["security"] and (answer := doors.ask(operation, caller, things)).status_code != 401
    ]

    assert len(nobodies) == 4
    assert wrong == []


def test_who_lacks_the_scope_is_refused_whatever_they_name(doors: Doors) -> None:
    wrong = [
        _named(operation, caller, answer)
        for operation, told in doors.operations()
        for caller in doors.callers
        for things in (*doors.things.values(), NOTHING, *IMPOSSIBLE)
        if told["security"]
        and (caller.scope or caller.gateway)
        and not _opens(told, operation, caller)
        and (answer := doors.ask(operation, caller, things)).status_code != 403
    ]

    assert wrong == []


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b"[" * 1000, b"\xff\xfe", b" " * 300_000])
def test_who_may_not_pass_is_not_told_what_else_is_wrong(doors: Doors, junk: bytes) -> None:
    kinds = ("application/json", "multipart/form-data; boundary=x", "text/plain")
    nobody, stranger = doors.callers[0], next(one for one in doors.callers if one.name == "another gateway")
    wrong = [
        _named(operation, caller, answer)
        for operation, told in doors.operations()
        if told.get("requestBody")
        for caller, status in ((nobody, 401), (stranger, 403))
        for kind in kinds
        if (answer := doors.send(operation, caller, junk, kind)).status_code != status
    ]

    assert wrong == []


def test_other_tenants_things_are_what_is_not_there_and_own_ones_are_reached(doors: Doors) -> None:
    """The strangers come first: what they could change would be missing for its owners."""
    cells = [
        (operation, caller)
        for operation, told in doors.operations()
        for caller in doors.callers
        if told["security"] and _opens(told, operation, caller)
    ]
    of_tenants = [(operation, caller) for operation, caller in cells if _is_a_tenants(operation)]
    looks = [(operation, caller) for operation, caller in of_tenants if operation[0] == "GET"]

    assert [told for cell in of_tenants if (told := _told_of_a_stranger(doors, *cell))] == []
    assert [told for cell in looks if (told := _refused(doors, *cell, good=lambda status: status == 200))] == []
    assert [
        told for cell in cells if (told := _refused(doors, *cell, good=lambda status: status not in REFUSALS))
    ] == []
    assert (len(cells) > 300, len(of_tenants) > 150, len(looks) > 90) == (True, True, True)


def _told_of_a_stranger(doors: Doors, operation: Operation, caller: Caller) -> str | None:
    """Whatever differs between what is another tenant's and what is not there."""
    theirs = next(things for tenant_id, things in doors.things.items() if tenant_id != caller.tenant_id)
    answer, nothing = (doors.ask(operation, caller, things) for things in (theirs, NOTHING))
    expected = 200 if operation[1] == EMPTY_IF_UNKNOWN else 404
    same = answer.text.replace(theirs["rotated"], "nothing").replace(theirs["alias"], "nothing") == nothing.text
    good = same and answer.status_code == nothing.status_code == expected
    return None if good else _named(operation, caller, answer)


def _refused(doors: Doors, operation: Operation, caller: Caller, good: Callable[[int], bool]) -> str | None:
    answer = doors.ask(operation, caller, doors.things[caller.tenant_id])
    return None if good(answer.status_code) else _named(operation, caller, answer)


def test_methods_that_a_route_does_not_know_tell_nothing(doors: Doors) -> None:
    nobody = doors.callers[0]
    wrong = []
    for path in doors.document["paths"]:
        for method in set(METHODS) - _known_methods(doors, path):
            answers = [doors.ask((method, path), nobody, things) for things in (*doors.things.values(), NOTHING)]
            if {answer.status_code for answer in answers} != {405} or len({answer.text for answer in answers}) > 1:
                wrong.append(_named((method, path), nobody, answers[0]))

    assert wrong == []


def _known_methods(doors: Doors, path: str) -> set[str]:
    """Those of every route at this address: `bulk` is an alias, too."""
    same = [other for other in doors.document["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", other), path)]
    return {method.upper() for one in same for method in doors.document["paths"][one]}


READ = {"apim:api_view", "apim:api_manage", "apim:ep_certificates_view", "apim:ep_certificates_manage"}
ADD = {"apim:api_create", "apim:api_manage", "apim:ep_certificates_add", "apim:ep_certificates_manage"}
UPDATE = {"apim:api_create", "apim:api_manage", "apim:ep_certificates_update", "apim:ep_certificates_manage"}
READ_APIS = {"apim:api_view", "apim:api_create", "apim:api_manage"}
OPEN_TO: dict[str, set[str]] = {
    "POST /v1/certificates": ADD,
    "POST /v1/certificates/bulk": ADD,
    "GET /v1/certificates": READ,
    "GET /v1/certificates/{alias}": READ,
    "GET /v1/certificates/{alias}/content": READ,
    "GET /v1/certificates/{alias}/usage": READ,
    "PUT /v1/certificates/{alias}": UPDATE,
    "DELETE /v1/certificates/{alias}": UPDATE,
    "GET /v1/certificates/{alias}/rotation": READ,
    "POST /v1/certificates/{alias}/rotation": UPDATE,
    "POST /v1/certificates/{alias}/rotation/finish": UPDATE,
    "POST /v1/certificates/{alias}/rotation/cancel": UPDATE,
    "GET /v1/operations": READ | ADD | UPDATE,
    "GET /v1/operations/{id}": READ | ADD | UPDATE,
    "POST /v1/operations/{id}/cancel": ADD | UPDATE,
    "POST /v1/batches/{id}/cancel": ADD,
    "GET /v1/batches": READ | ADD | UPDATE,
    "GET /v1/batches/{id}": READ | ADD | UPDATE,
    "POST /v1/apis": {"apim:api_create", "apim:api_manage"},
    "GET /v1/apis": READ_APIS,
    "GET /v1/apis/{id}": READ_APIS,
    "PUT /v1/apis/{id}": {"apim:api_create", "apim:api_manage"},
    "DELETE /v1/apis/{id}": {"apim:api_manage"},
    "GET /v1/environments": READ | {"trustcast:gateways"},
    "GET /v1/environments/{name}": READ | {"trustcast:gateways"},
    "GET /v1/environments/{name}/truststore": {"trustcast:gateways"},
    "GET /v1/environments/{name}/truststore.jks": {"trustcast:gateways"},
    "GET /v1/environments/{name}/changes": {"trustcast:gateways"},
}


def test_native_routes_are_open_to_these_scopes_and_else_to_the_administrator(doors: Doors) -> None:
    found = {
        f"{method} {path}": {name for one in told["security"] for name in one.get("token", [])}
        for (method, path), told in doors.operations()
        if path.startswith("/v1/") and told["security"] != [{"gateway": []}]
    }

    assert found == {name: OPEN_TO.get(name, set()) | {"trustcast:admin"} for name in found}
    assert found.keys() >= OPEN_TO.keys()
