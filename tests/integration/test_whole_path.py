"""The whole path: api and worker as processes, a real Redis between them, the listener's refresh at the end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.certificates import rsa_key, self_signed
from tests.databases import PostgresServer, SqliteFiles
from tests.gateway_home import entries, make_home
from tests.processes import Service, last_words, running, until
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, environ, token
from trustcast.domain.head import key_id
from trustcast.storage import audit
from trustcast_cli import free_port
from trustcast_gateway.distribution import Distribution
from trustcast_gateway.refresh import Node, refresh
from trustcast_gateway.reports import Reports
from trustcast_gateway.trusted_state import TrustedState


@dataclass
class Running:
    """One api, one worker, what they were told and what they said."""

    api: ServedApi
    key: Ed25519PrivateKey
    folder: Path
    redis: RedisServer
    worker_environ: dict[str, str]

    def worker(self) -> AbstractContextManager[Service]:
        """Start a worker; it ends with the block."""
        return running("trustcast_worker", self.worker_environ, self.folder / "worker.log")

    def logs(self) -> bytes:
        return b"".join((self.folder / name).read_bytes() for name in ("api.log", "worker.log"))

    def waits_for(self, identity: str, state: str = "applied") -> dict[str, object]:
        with self.api.client() as client:
            until(lambda: client.get(f"/v1/operations/{identity}").json()["state"] == state)
            told: dict[str, object] = client.get(f"/v1/operations/{identity}").json()
        return told


def start(folder: Path, database_url: str, ends: ExitStack) -> Running:
    add_environment(database_url, "other")
    redis = RedisServer(folder)
    ends.callback(redis.stop)
    key = Ed25519PrivateKey.generate()
    (folder / "head.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    port = free_port.checked("127.0.0.1", 0)
    told = environ(folder, database_url, redis.url)
    shared = {name: told[name] for name in ("TRUSTCAST_DATABASE_URL", "TRUSTCAST_REDIS_URL")}
    worker_environ = shared | {
        "TRUSTCAST_HEAD_KEY_FILE": str(folder / "head.pem"),
        "TRUSTCAST_HEALTH_FILE": str(folder / "worker.health"),
        "TRUSTCAST_WORKER_SWEEP_SECONDS": "1",
        "TRUSTCAST_CERTIFICATES_PER_ENDPOINT": "unlimited",
    }
    ends.enter_context(running("trustcast_api", told | {"TRUSTCAST_API_PORT": str(port)}, folder / "api.log"))
    api = ServedApi(f"http://127.0.0.1:{port}", database_url, folder)
    ends.callback(api.database.close)
    until(lambda: answers(api))
    return Running(api, key, folder, redis, worker_environ)


def answers(api: ServedApi) -> bool:
    with suppress(httpx.TransportError):
        return api.ask("GET", "/readyz").status_code == 200
    return False


@pytest.fixture(scope="session")
def started(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, sqlite_files: SqliteFiles
) -> Iterator[Callable[[str], Running]]:
    with ExitStack() as ends:

        @cache
        def of(kind: str) -> Running:
            folder = tmp_path_factory.mktemp(f"services-{kind}")
            if kind == "sqlite":
                url = sqlite_files.fresh(folder)
            else:
                postgres: PostgresServer = request.getfixturevalue("postgres")
                url = postgres.fresh()
            services = start(folder, url, ends)
            ends.enter_context(services.worker())
            until((folder / "worker.health").exists)
            return services

        yield of


@pytest.fixture(params=["sqlite", "postgresql"])
def services(request: pytest.FixtureRequest, started: Callable[[str], Running]) -> Running:
    """Running services on each kind of database; other tests use them, too."""
    return started(request.param)


def unique(prefix: str = "web") -> str:
    return f"{prefix}-{time.monotonic_ns()}"


def test_upload_is_applied_and_a_listener_installs_it(services: Running, tmp_path: Path) -> None:
    alias = unique()
    made = self_signed(f"{alias}.example")

    answer = services.api.upload(alias, made, headers={"Prefer": "wait=30"})

    assert (answer.status_code, answer.json()["state"]) == (201, "applied")
    home = make_home(tmp_path / "home", (self_signed("foreign.example").der,))
    with listener(services, home.folder, tmp_path / "state") as node:
        assert refresh(node) == services.api.pipeline.status().generation
    installed = {entry.alias: entry.certificate for entry in entries(home)}
    assert installed[alias] == made.der
    assert "foreign-1" in installed
    body = services.api.ask("GET", "/v1/environments/default/truststore").json()
    [gateway] = [one for one in body["gateways"] if one["name"] == "g1"]
    assert (gateway["phase"], gateway["in_sync"]) == ("installed", True)


def test_delete_reaches_the_listener_as_one_removal(services: Running, tmp_path: Path) -> None:
    alias = unique()
    services.api.upload(alias, self_signed(f"{alias}.example"), headers={"Prefer": "wait=30"})
    home = make_home(tmp_path / "home")
    with listener(services, home.folder, tmp_path / "state") as node:
        refresh(node)
        assert alias in {entry.alias for entry in entries(home)}

        answer = services.api.ask("DELETE", f"/v1/certificates/{alias}", headers={"Prefer": "wait=30"})
        refresh(node)

    assert (answer.status_code, answer.json()["state"]) == (200, "applied")
    assert alias not in {entry.alias for entry in entries(home)}


def test_upload_against_policy_is_answered_with_its_problem(services: Running) -> None:
    alias = unique()

    answer = services.api.upload(
        alias, self_signed(f"{alias}.example", key=rsa_key(1024)), headers={"Prefer": "wait=30"}
    )

    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["errors"]] == ["certificate"]


def test_burst_becomes_few_generations(services: Running) -> None:
    before = services.api.pipeline.status().generation
    prefix = unique("burst")
    made = [(f"{prefix}-{number}", self_signed(f"{prefix}-{number}.example")) for number in range(60)]

    with ThreadPoolExecutor(8) as pool:
        ids = [answer.json()["id"] for answer in pool.map(lambda one: services.api.upload(*one), made)]
    for identity in ids:
        services.waits_for(identity)

    assert services.api.pipeline.status().generation - before < 30
    with services.api.database.reading() as transaction:
        audit.verify(transaction)


@pytest.fixture
def lone(sqlite_url: str, tmp_path: Path) -> Iterator[Running]:
    """An api without a worker."""
    with ExitStack() as ends:
        yield start(tmp_path, sqlite_url, ends)


def test_what_came_while_no_worker_was_there_is_applied_by_the_next(lone: Running) -> None:
    answers = [lone.api.upload(f"web-{number}", self_signed(f"web-{number}.example")) for number in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3, answers[0].text
    ids = [answer.json()["id"] for answer in answers]
    with lone.redis.client() as client:
        client.flushall()  # and every wake-up was lost

    with lone.worker():
        told = [lone.waits_for(identity) for identity in ids]

    assert {one["state"] for one in told} == {"applied"}


def test_services_stop_when_told_and_speak_json_lines(lone: Running) -> None:
    log = lone.folder / "stopped.log"
    with running("trustcast_worker", lone.worker_environ, log) as worker:
        until((lone.folder / "worker.health").exists)
        lone.waits_for(lone.api.upload("web", self_signed("web.example")).json()["id"])

        assert worker.stop() == 0

    lines = [*log.read_text().splitlines(), *(lone.folder / "api.log").read_text().splitlines()]
    assert [line for line in lines if not line.startswith("{")] == []
    assert {json.loads(line)["service"] for line in lines} == {"api", "worker"}


def test_operation_can_be_followed_through_the_logs_of_both(lone: Running) -> None:
    with lone.worker():
        identity = lone.api.upload("web", self_signed("web.example")).json()["id"]
        lone.waits_for(identity)
        until(lambda: lone.logs().count(identity.encode()) >= 3)

    events = [json.loads(line) for line in lone.logs().splitlines()]
    assert [one["event"] for one in events if one.get("operation") == identity] == ["accepted", "validated", "applied"]


# Settings


def process_environ(module: str, folder: Path) -> dict[str, str]:
    told = environ(folder, f"sqlite:///{folder / 'none.db'}", "redis://127.0.0.1:1/0")
    if module == "trustcast_worker":
        told = {name: told[name] for name in ("TRUSTCAST_DATABASE_URL", "TRUSTCAST_REDIS_URL")}
        told["TRUSTCAST_HEAD_KEY_FILE"] = str(folder / "head.pem")
    return told


@pytest.mark.parametrize("module", ["trustcast_api", "trustcast_worker"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"TRUSTCAST_COLOUR": "blue"}, "TRUSTCAST_COLOUR"),
        ({"TRUSTCAST_REDIS_URL_FILE": "/x"}, "TRUSTCAST_REDIS_URL_FILE"),
        ({"TRUSTCAST_DATABASE_URL": None}, "TRUSTCAST_DATABASE_URL"),
    ],
    ids=["unknown", "two of one", "missing"],
)
def test_wrong_setting_is_one_sentence_that_names_it(
    module: str, change: dict[str, str | None], named: str, tmp_path: Path
) -> None:
    told = process_environ(module, tmp_path) | change
    given = {name: value for name, value in told.items() if value is not None}

    status, said = last_words(module, given, tmp_path / "log")

    assert status == 1
    assert named in said
    assert len(said.splitlines()) == 1


def test_api_does_not_start_on_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    status, said = last_words("trustcast_api", process_environ("trustcast_api", tmp_path), tmp_path / "log")

    assert status == 1
    assert "python -m trustcast.storage upgrade" in said
    assert len(said.splitlines()) == 1


def test_worker_does_not_start_without_its_key(tmp_path: Path) -> None:
    status, said = last_words("trustcast_worker", process_environ("trustcast_worker", tmp_path), tmp_path / "log")

    assert status == 1
    assert "head.pem" in said
    assert len(said.splitlines()) == 1


# Secrets


def secrets() -> dict[str, tuple[bytes, list[bytes]]]:
    """Uploads that hold a private key, and byte strings that tell that it was kept."""
    made = self_signed("web.example", key=rsa_key(2048))
    key = made.key
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem_key = made.key_pem
    telling = [pkcs8[100:160], pem_key.splitlines()[5], base64.b64encode(pkcs8[99:159])[4:60]]
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    openssh = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    store = pkcs12.serialize_key_and_certificates(b"x", key, made.certificate, None, NoEncryption())
    return {
        "after": (made.pem + pem_key, telling),
        "before": (pem_key + made.pem, telling),
        "alone": (pem_key, telling),
        "der": (pkcs8, telling),
        "encrypted": (made.pem + encrypted, [encrypted.splitlines()[5]]),
        "openssh": (openssh, [openssh.splitlines()[5]]),
        "pkcs12": (store, [store[200:260]]),
        "bare base64": (base64.b64encode(pkcs8), telling),
        "traditional": (
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
            [key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).splitlines()[5]],
        ),
    }


def test_private_key_that_was_uploaded_is_nowhere(started: Callable[[str], Running]) -> None:
    """Not in the database's files, not in a log, not in Redis, not in the answer; as field, as file, as alias."""
    services = started("sqlite")
    telling: list[bytes] = []
    with services.api.client() as client:
        for name, (data, traces) in secrets().items():
            telling += traces
            fields = {"alias": "web", "endpoint": "https://web.example"}
            answers = [client.post("/v1/certificates", data=fields, files={"certificate": data})]
            if name in {"after", "alone"}:
                text = data.decode()
                answers.append(client.post("/v1/certificates", files={"alias": (None, text), "certificate": b"x"}))
                answers.append(client.post("/v1/certificates", files={"endpoint": (None, text), "ca": (None, text)}))
            for answer in answers:
                assert answer.status_code == 400, name
                assert not [one for one in traces if one in answer.content]
    time.sleep(0.2)

    kept = [path.read_bytes() for path in services.folder.rglob("*") if path.is_file() and path.name != "head.pem"]
    assert not [one for one in telling for data in kept if one in data]
    with services.redis.client() as redis:
        assert redis.llen("validation") == redis.llen("truststore") == 0


def test_password_of_a_truststore_file_and_tokens_are_in_no_log(services: Running) -> None:
    password = "correct-horse-battery"
    headers = {"Truststore-Password": password}

    answers = [
        services.api.ask("GET", "/v1/environments/default/truststore.jks", headers=headers),
        services.api.ask("GET", "/v1/environments/nowhere/truststore.jks", headers=headers),
        services.api.ask("GET", "/v1/certificates", as_="wrong-token-in-no-log"),
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 401]
    time.sleep(0.1)
    said = services.logs()
    assert not [one for one in (password, ADMIN, token("g1"), "wrong-token-in-no-log") if one.encode() in said]


@contextmanager
def listener(services: Running, home: Path, state: Path) -> Iterator[Node]:
    """The listener's part of gateway `g1` on these services."""
    with services.api.client(token("g1")) as client, closing(TrustedState.open(state, "default")) as kept:
        distribution = Distribution(client, gateway="g1", environment="default")
        yield Node(
            environment="default",
            home=home,
            keys={key_id(services.key.public_key()): services.key.public_key()},
            api=distribution,
            reports=Reports(distribution, heartbeat_seconds=60, monotonic=time.monotonic),
            state=kept,
            clock=lambda: datetime.now(UTC),
        )
