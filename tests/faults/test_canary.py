"""A private key in every form, sent to every place of every route: refused everywhere, and found nowhere afterwards.

The processes are real ones: api, worker, Redis, a listener. What they keep is searched where it lies.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import inspect, text

from tests import dev_server, every_place, leaked_keys
from tests.certificates import self_signed
from tests.dev_server import Dev
from tests.every_place import Sent
from trustcast.storage.session import Database

GATEWAY = "gateway-1"
NAMES = {"alias": "nothing", "name": GATEWAY, "id": "7", "version": "v4"}
CLIENTS = 4
Answers = list[tuple[Sent, httpx.Response]]


@dataclass
class Canary:
    """What everything was sent to, and what it said."""

    dev: Dev
    temporary: Path
    database_url: str
    secrets: list[bytes]
    answers: Answers

    def haystacks(self) -> Iterator[tuple[str, bytes]]:
        """All that is kept anywhere, and all that was said."""
        yield from self._files(self.dev.folder.path)
        yield from self._files(self.temporary)
        yield from self._tables()
        yield from self._redis()
        yield "answers' bodies", b"|".join(answer.content for _, answer in self.answers)
        yield "answers' heads", b"|".join(b" ".join(head) for _, one in self.answers for head in one.headers.raw)

    def database(self) -> Database:
        return Database(self.database_url)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url((self.dev.folder.redis / "url").read_text().strip())

    def save(self) -> None:
        """Have everything written out that is in memory."""
        with self.redis() as client:
            client.config_set("rdbcompression", "no")  # or a search finds nothing in longer texts
            client.save()
        time.sleep(1.1)  # the append-only file is written every second

    def _files(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"file {path.name}", path.read_bytes()

    def _tables(self) -> Iterator[tuple[str, bytes]]:
        database = self.database()
        # Between two tables much is searched: a transaction that stands idle is ended.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in inspect(connection).get_table_names():
                rows = connection.execute(text(f'SELECT * FROM "{table}"'))  # noqa: S608 - the database's own names
                yield f"table {table}", b"|".join(_bytes(value) for row in rows for value in row)
            if connection.dialect.name == "postgresql":
                connection.execute(text("CHECKPOINT"))
                folder = Path(connection.execute(text("SHOW data_directory")).scalar_one())
                number = connection.execute(
                    text("SELECT oid FROM pg_database WHERE datname = current_database()")
                ).scalar_one()
                for _, data in self._files(folder / "base" / str(number)):
                    yield "PostgreSQL's tables", data
                for _, data in self._files(folder / "pg_wal"):
                    yield "PostgreSQL's journal", data
        database.close()

    def _redis(self) -> Iterator[tuple[str, bytes]]:
        with self.redis() as client:
            client.config_set("rdbcompression", "no")  # as DUMP writes, too
            for key in client.scan_iter():
                yield "Redis' memory", key + b"|" + (client.dump(key) or b"")


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def canary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    folder, temporary = tmp_path_factory.mktemp("canary") / "data", tmp_path_factory.mktemp("tmp")
    settings, url = {"TMPDIR": str(temporary)}, f"sqlite:///{folder / 'trustcast.db'}"
    if request.param == "postgresql":
        url = settings["TRUSTCAST_DATABASE_URL"] = request.getfixturevalue("postgres").fresh()
    leaks = leaked_keys.forms()
    with dev_server.running_dev(folder, gateways=1, env=settings) as dev:
        token = (dev.folder.listener(GATEWAY) / "token").read_text().strip()
        with dev_server.admin(dev) as client:
            document = client.get("/openapi.json").json()
        certificate = self_signed("billing.example").pem.decode()
        sent = [
            one
            for leak in leaks.values()
            for one in every_place.requests(document, leak.text, leak.files, names=NAMES, certificate=certificate)
        ]
        answers = _answers(dev, sent, token)
        _let_everything_settle(dev)
        yield Canary(dev, temporary, url, [one for leak in leaks.values() for one in leak.secrets], answers)


def _answers(dev: Dev, sent: list[Sent], token: str) -> Answers:
    def ask(own: list[Sent]) -> Answers:
        with dev_server.admin(dev) as client:
            return [(one, one.by(client, gateway=token)) for one in own]

    with ThreadPoolExecutor(CLIENTS) as clients:
        return [one for some in clients.map(ask, (sent[number::CLIENTS] for number in range(CLIENTS))) for one in some]


def _let_everything_settle(dev: Dev) -> None:
    with dev_server.admin(dev) as client:

        def waiting() -> int:
            asked = (client.get("/v1/operations", params={"state": one}) for one in ("received", "validated"))
            return sum(answer.json()["total"] for answer in asked)

        dev_server.wait_until(lambda: waiting() == 0)


def test_every_form_was_sent_to_every_place(canary: Canary) -> None:
    places = {(sent.method, sent.where) for sent, _ in canary.answers}

    assert len(canary.answers) > 3000
    assert {("post", "form alias"), ("post", "form endpoint"), ("post", "form certificate")} <= places
    assert {("post", "form file 0"), ("post", "line .certificate"), ("post", "line escaped .alias")} <= places
    assert {("put", "path alias"), ("get", "query endpoint"), ("post", "header Idempotency-Key")} <= places


def test_it_is_refused_wherever_it_would_be_kept(canary: Canary) -> None:
    """Each line of a bulk on its own; what is only looked for, and what nobody reads, is not kept."""
    taken = [sent.shown(answer) for sent, answer in canary.answers if not _is_refused(answer)]

    assert [one for one in taken if not _keeps_nothing(one)] == []


def _is_refused(answer: httpx.Response) -> bool:
    if answer.status_code == HTTPStatus.ACCEPTED and "lines" in answer.json():
        states = answer.json()["states"]
        return bool(states["refused"]) and states["refused"] == sum(states.values())
    return HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


def _keeps_nothing(shown: str) -> bool:
    """A filter, a wish for how to be answered, a field that WSO2's routes leave alone."""
    method, path, kind, name, *_ = shown.replace(":", "").split()
    unread = (kind, name) == ("header", "Prefer")
    return (method, kind) == ("get", "query") or unread or ("publisher" in path and name == "unknown")


def test_it_is_found_nowhere(canary: Canary) -> None:
    canary.save()

    wanted = [needle for secret in canary.secrets for needle in leaked_keys.needles(secret)]
    assert leaked_keys.places_of(wanted, canary.haystacks()) == set()


def _plain_one() -> bytes:
    """A key with a piece that a log writes byte by byte: one in a few has none where this test looks."""
    while True:
        hidden = self_signed().key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        if hidden[-100:-84] in leaked_keys.needles(hidden[-100:-68]):
            return hidden


def test_it_would_be_found_in_each_of_these_places(canary: Canary) -> None:
    """Another key is hidden in all of them, in each in another way."""
    hidden = _plain_one()
    standard = base64.encodebytes(b"x" + hidden)
    _plant(canary, hidden)
    with canary.redis() as client:
        client.rpush("planted", b"x" * 100, standard.decode().encode("utf-16-le"))
    with canary.dev.folder.log("api").open("a") as log:
        log.write(json.dumps({"event": repr(hidden)}) + "\n")
    (canary.temporary / "upload").write_bytes(standard)
    (canary.temporary / "printed").write_text(hidden.hex(":"))
    answer = httpx.Response(400, headers={"x": hidden.hex()}, json={"detail": every_place.quoted(standard.decode())})
    canary.save()

    planted = replace(canary, answers=[(Sent("get", "/", "planted"), answer)])
    found = leaked_keys.places_of(leaked_keys.needles(hidden[-100:-68]), planted.haystacks())
    kept = {"file trustcast.db-wal"} if "sqlite" in canary.database_url else {"PostgreSQL's journal"}
    files = {"file dump.rdb", "file api.log", "file upload", "file printed"}
    said = {"answers' bodies", "answers' heads"}
    assert found >= kept | files | said | {"table planted", "Redis' memory"}
    assert any(name.startswith("file appendonly.aof") for name in found)


def _plant(canary: Canary, hidden: bytes) -> None:
    database = canary.database()
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE planted (held TEXT)"))
        connection.execute(text("INSERT INTO planted VALUES (:held)"), {"held": hidden.hex().upper()})
    database.close()
