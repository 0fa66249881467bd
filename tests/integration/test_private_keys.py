"""A private key that somebody pastes anywhere at all is kept nowhere: every text of every route is tried."""

from __future__ import annotations

import base64
import copy
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from tests.databases import SqliteFiles
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served, token

SHORT = Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
LONG = ec_key(SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
KEYS = {
    "one line": base64.urlsafe_b64encode(SHORT).decode(),  # short and plain enough for most names
    "one line of standard base64": base64.b64encode(LONG).decode(),
    "PEM": f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(LONG).decode()}-----END PRIVATE KEY-----\n",
}
# Of each key a part that stands on one line; what keeps the whole keeps it, too.
NEEDLES = [base64.urlsafe_b64encode(SHORT)[24:60], base64.b64encode(LONG)[20:56]]


NDJSON = "application/x-ndjson"


@dataclass
class Sent:
    """A request with a key in it."""

    method: str
    path: str
    where: str
    options: dict[str, Any] = field(default_factory=dict)

    def by(self, client: httpx.Client) -> httpx.Response:
        token_ = {"Authorization": f"Bearer {token('g1')}"} if "/gateways/" in self.path else {}
        headers = self.options.get("headers", {}) | token_
        return client.request(self.method, self.path, **self.options | {"headers": headers})


@dataclass
class Tried:
    """What came of all of them: the answers, and what was written into the log."""

    api: ServedApi
    answers: list[tuple[Sent, httpx.Response]]
    logged: str


@pytest.fixture(scope="module")
def tried(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[Tried]:
    folder = tmp_path_factory.mktemp("keys")
    url = sqlite_files.fresh(folder)
    add_environment(url, "other")
    lines: list[logging.LogRecord] = []
    watching = logging.Handler()
    watching.emit = lines.append  # type: ignore[assignment,method-assign]  # all that a handler needs
    logging.getLogger().addHandler(watching)
    with capture_logs() as logs, served(folder, url, redis_server.url) as api, api.client() as client:
        document = client.get("/openapi.json").json()
        answers = [(one, one.by(client)) for key in KEYS.values() for one in _requests(document, key)]
        api.work()
        yield Tried(api, answers, str(logs) + "".join(map(logging.Formatter().format, lines)))
    logging.getLogger().removeHandler(watching)


def _requests(document: dict[str, Any], key: str) -> Iterator[Sent]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            plain = path.format(**_GOOD)
            for one in told.get("parameters", []):
                where = f"{one['in']} {one['name']}"
                match one["in"]:
                    case "path":
                        held = path.format(**_GOOD | {one["name"]: _quoted(key)})
                        yield Sent(method, held, where, _body_of(document, told))
                    case "query":
                        yield Sent(method, plain, where, {"params": {one["name"]: key}} | _body_of(document, told))
                    case "header" if "\n" not in key:
                        body = _body_of(document, told)
                        yield Sent(
                            method, plain, where, body | {"headers": body.get("headers", {}) | {one["name"]: key}}
                        )
                    case _:
                        pass
            for options, where in _bodies(document, told, key):
                yield Sent(method, plain, where, options)


_GOOD = {"alias": "nothing", "name": "g1", "id": "7", "version": "v4"}


def _quoted(text: str) -> str:
    return "".join(f"%{one:02x}" for one in text.encode())


def _example(document: dict[str, Any], told: dict[str, Any]) -> tuple[str, Any]:
    """The kind of a request's body, and a good one."""
    [(kind, content)] = told["requestBody"]["content"].items()
    if "example" in content:
        return kind, content["example"]
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    missing = {name: "text" for name in schema["properties"] if name not in schema["examples"][0]}
    return kind, schema["examples"][0] | missing


def _body_of(document: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    if "requestBody" not in told:
        return {}
    kind, example = _example(document, told)
    if kind == NDJSON:
        return _line(example)
    return {"json": example} if kind == "application/json" else _form(example)


def _bodies(document: dict[str, Any], told: dict[str, Any], key: str) -> Iterator[tuple[dict[str, Any], str]]:
    if "requestBody" not in told:
        return
    kind, example = _example(document, told)
    if kind == NDJSON:
        for place, body in _with_key(json.loads(example), key):
            yield _line(json.dumps(body)), f"line {place}"
            escaped = "".join(f"\\u{ord(one):04x}" for one in key)
            yield _line(json.dumps(body).replace(json.dumps(key), f'"{escaped}"')), f"line escaped {place}"
        yield (
            _line(example.strip()[:-1] + ', "unknown": {"deep": ["' + key.replace("\n", "\\n") + '"]}}'),
            "line unknown",
        )
        yield _line(example.strip()[:-1] + ', "x": "' + key), "line broken"
        return
    if kind != "application/json":
        for name in (*example, "ca", "unknown"):  # WSO2's routes leave alone what they do not know, as theirs do
            yield _form(example | {name: key}), f"form {name}"
        return
    for place, body in _with_key(example, key):
        yield {"json": body}, f"json {place}"
    yield {"json": example | {"unknown": {"deep": [key]}}}, "json unknown"
    yield {"json": example | {key: 1}}, "json name"
    yield {"json": [key]}, "json list"
    headers = {"Content-Type": "application/json"}
    yield {"content": json.dumps(example)[:-1] + ', "x": "' + key, "headers": headers}, "json broken"
    escaped = "".join(f"\\u{ord(one):04x}" for one in key)
    yield {"content": '{"x": "' + escaped + '"}', "headers": headers}, "json escaped"


def _line(text: str) -> dict[str, Any]:
    return {"content": text, "headers": {"Content-Type": NDJSON}}


def _form(fields: dict[str, str]) -> dict[str, Any]:
    return {"files": {name: (None, value) for name, value in fields.items()}}


def _with_key(value: Any, key: str, place: str = "") -> Iterator[tuple[str, Any]]:
    """The value with the key in the place of each of its texts."""
    if isinstance(value, str):
        yield place, key
    elif isinstance(value, (dict, list)):
        for at in value if isinstance(value, dict) else range(len(value)):
            for inner, changed in _with_key(value[at], key, f"{place}.{at}"):
                whole = copy.copy(value)
                whole[at] = changed
                yield inner, whole


def _shown(sent: Sent, answer: httpx.Response) -> str:
    return f"{sent.method} {sent.path[:80]} {sent.where}: {answer.status_code} {answer.text[:120]}"


def test_every_route_with_a_text_was_tried(tried: Tried) -> None:
    places = {(sent.method, sent.where) for sent, _ in tried.answers}

    assert len(tried.answers) > 400
    assert {("post", "json .name"), ("put", "json .description"), ("post", "json .detail")} <= places
    assert {("put", "path name"), ("put", "path alias"), ("post", "form alias"), ("get", "query alias")} <= places


def test_no_table_holds_a_key(tried: Tried) -> None:
    files = list(Path(tried.api.database_url.removeprefix("sqlite:///")).parent.glob("trustcast.db*"))
    held = b"".join(one.read_bytes() for one in files)

    assert b"request.refused" in held
    assert [needle for needle in NEEDLES if needle in held] == []


def test_no_line_of_the_log_holds_a_key(tried: Tried) -> None:
    assert [needle for needle in NEEDLES if needle.decode() in tried.logged] == []


def test_no_answer_holds_a_key_nor_is_a_crash(tried: Tried) -> None:
    echoing = [_shown(*one) for one in tried.answers if any(needle in one[1].content for needle in NEEDLES)]

    assert [_shown(*one) for one in tried.answers if one[1].status_code >= 500] == []
    assert echoing == []


def test_who_sends_a_key_in_a_body_or_in_the_name_of_what_is_to_change_is_told_so(tried: Tried) -> None:
    untold = [
        _shown(*one) for one in tried.answers if _has_to_say(*one) and "consider the key compromised" not in one[1].text
    ]

    assert untold == []


def _has_to_say(sent: Sent, answer: httpx.Response) -> bool:
    """Unless the address is none at all, or it is a gateway's that is not its own."""
    if sent.where == "form unknown" and "publisher" in sent.path:
        return False
    in_path = sent.where.startswith("path") and sent.method != "get" and sent.where != "path version"
    return sent.where.startswith(("json", "form", "line")) or (
        in_path and answer.status_code != 403 and "at this address" not in answer.text
    )


def test_keys_in_bodies_are_refusals_that_are_told(tried: Tried) -> None:
    """The api had to be asked by few enough: of more, only the number is told."""
    events = tried.api.ask("GET", "/v1/audit", params={"action": "request.refused", "limit": 1000}).json()["events"]

    told = {(one["facts"]["method"], one["facts"]["route"]) for one in events if one["facts"]["code"] == "private_key"}
    assert {("POST", "/v1/tokens"), ("PUT", "/v1/environments/{name}"), ("POST", "/v1/apis")} <= told
