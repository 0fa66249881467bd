"""A private key that somebody pastes anywhere at all is kept nowhere: every text of every route is tried."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from tests.databases import SqliteFiles
from tests.every_place import Sent, requests
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
NAMES = {"alias": "nothing", "name": "g1", "id": "7", "version": "v4"}


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
        sent = [one for key in KEYS.values() for one in requests(document, key, names=NAMES)]
        answers = [(one, one.by(client, gateway=token("g1"))) for one in sent]
        api.work()
        yield Tried(api, answers, str(logs) + "".join(map(logging.Formatter().format, lines)))
    logging.getLogger().removeHandler(watching)


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
    echoing = [one[0].shown(one[1]) for one in tried.answers if any(needle in one[1].content for needle in NEEDLES)]

    assert [one[0].shown(one[1]) for one in tried.answers if one[1].status_code >= 500] == []
    assert echoing == []


def test_who_sends_a_key_in_a_body_or_in_the_name_of_what_is_to_change_is_told_so(tried: Tried) -> None:
    untold = [
        one[0].shown(one[1])
        for one in tried.answers
        if _has_to_say(*one) and "consider the key compromised" not in one[1].text
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
