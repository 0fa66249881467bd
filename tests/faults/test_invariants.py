"""The judge is judged: `assert_invariants` notices each thing that must never be."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from tests import dev_server
from tests.certificates import self_signed
from tests.faults.uploads import running
from tests.invariants import Before, assert_invariants
from trustcast.domain.errors import TrustcastError
from trustcast.keystore import jks
from trustcast.keystore.jks import RawEntry
from trustcast.storage.session import Database
from trustcast_cli import sample_home
from trustcast_cli.data_folder import TRUSTSTORE_PASSWORD, DataFolder

GATEWAY = "gateway-1"
STRANGER = self_signed("stranger.example")
Break = Callable[[DataFolder], None]


@dataclass
class Left:
    """What stopped services left behind."""

    folder: DataFolder
    before: Before
    accepted: list[str]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    with running(tmp_path_factory.mktemp("left") / "data", gateways=1) as uploader:
        for alias in ("one", "two", "three"):
            uploader.upload(alias)
            dev_server.wait_until(uploader.converged)
    return Left(uploader.services.folder, uploader.before, uploader.accepted)


@pytest.fixture
def copy(left: Left, tmp_path: Path) -> Iterator[DataFolder]:
    yield DataFolder(shutil.copytree(left.folder.path, tmp_path / "data"))
    shutil.rmtree(tmp_path)


def test_what_is_right_passes(left: Left, copy: DataFolder) -> None:
    assert_invariants(copy, left.before, accepted=left.accepted)


def test_a_forgotten_operation_is_noticed(left: Left, copy: DataFolder) -> None:
    with pytest.raises(AssertionError, match="answered 202 and forgotten"):
        assert_invariants(copy, left.before, accepted=[*left.accepted, "another"])


def _sql(*statements: str) -> Break:
    def run(folder: DataFolder) -> None:
        with closing(Database(folder.database_url)) as database, database.writing() as transaction:
            for statement in statements:
                assert transaction.execute(text(statement)).rowcount
            transaction.commit()

    return run


def _entries(change: Callable[[list[RawEntry]], list[RawEntry]]) -> Break:
    def write(folder: DataFolder) -> None:
        path = folder.truststore(GATEWAY)
        path.write_bytes(jks.write(change(jks.read(path.read_bytes(), TRUSTSTORE_PASSWORD)), TRUSTSTORE_PASSWORD))

    return write


def _torn(folder: DataFolder) -> None:
    path = folder.truststore(GATEWAY)
    path.write_bytes(path.read_bytes()[:-100])


def _profiles_edited(folder: DataFolder) -> None:
    path = folder.gateway_home(GATEWAY) / sample_home.SSL_PROFILES
    path.write_bytes(path.read_bytes() + b"\n")


def _logged(secret: Callable[[DataFolder], bytes]) -> Break:
    def log(folder: DataFolder) -> None:
        with folder.log("api").open("ab") as file:
            file.write(b'{"event": "upload", "detail": "%b"}\n' % secret(folder).replace(b"\n", b"\\n"))

    return log


def _body(pem: bytes) -> bytes:
    return b"".join(pem.splitlines(keepends=True)[1:-1])


BREAKS: dict[str, Break] = {
    "an operation that never ended": _sql("UPDATE operation SET state = 'validated' WHERE alias = 'two'"),
    "a generation without a head": _sql("DELETE FROM head WHERE generation = 2"),
    "a head that states other entries": _sql("UPDATE head SET entries_sha256 = lower(entries_sha256) || '0'"),
    "a head that nobody signed": _sql('UPDATE head SET envelope = replace(envelope, \'"sig":"\', \'"sig":"AAAA\')'),
    "a change log that leads elsewhere": _sql("DELETE FROM truststore_change WHERE alias = 'one'"),
    "an entry that no generation has": _sql("DELETE FROM truststore_entry WHERE alias = 'one'"),
    "a certificate that the truststore has of another tenant": _sql(
        "UPDATE AM_CERTIFICATE_METADATA SET TENANT_ID = 7 WHERE ALIAS_KEY = 'one'"
    ),
    "an environment that has what only others should": _sql(
        "INSERT INTO api (id, tenant_id, name, version, context, provider, type, created_at, updated_at) "
        "SELECT 'a', -1234, 'a', '1', '/a', 'a', 'HTTP/REST', '2026-01-01', '2026-01-01'",
        "INSERT INTO api_endpoint (api, role, position, tenant_id, url, endpoint) "
        "SELECT 'a', 'sandbox', 0, -1234, END_POINT, END_POINT FROM AM_CERTIFICATE_METADATA WHERE ALIAS_KEY = 'one'",
        "UPDATE environment SET type = 'production'",
    ),
    "a change of routing that nobody looked at": _sql("INSERT INTO routing_due (created_at) VALUES ('2026-01-01')"),
    "a name that is in no certificate": _sql("INSERT INTO certificate_name VALUES (-1234, 'one', 'other.example')"),
    "a certificate of another name": _sql("UPDATE certificate_blob SET der = x'00'"),
    "a report of an earlier generation": _sql(
        "INSERT INTO gateway_report (gateway, environment, generation, phase, at) "
        "SELECT gateway, environment, 1, phase, at FROM gateway_report"
    ),
    "a gateway that fell back": _entries(lambda entries: [one for one in entries if one.alias not in {"two", "three"}]),
    "an entry that was never signed": _entries(lambda entries: [*entries, jks.trusted_entry("evil", STRANGER.der)]),
    "the head key in a log": _logged(lambda folder: folder.head_key.read_bytes()),
    "the head key in a log, without its armour": _logged(lambda folder: _body(folder.head_key.read_bytes())),
    "a key of somebody's in a log": _logged(lambda _: STRANGER.key_pem),
    "an audit chain that was edited": _sql("UPDATE audit_event SET actor = 'nobody' WHERE sequence = 2"),
    "an audit chain that was cut off": _sql(
        "DELETE FROM audit_event WHERE sequence = (SELECT max(sequence) FROM audit_event)"
    ),
    "a foreign entry lost": _entries(lambda entries: entries[1:]),
    "a foreign entry changed": _entries(
        lambda entries: [jks.trusted_entry(entries[0].alias, STRANGER.der, made_ms=1), *entries[1:]]
    ),
    "a torn truststore": _torn,
    "profiles with a byte more": _profiles_edited,
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_must_never_be_is_noticed(left: Left, copy: DataFolder, broken: str) -> None:
    BREAKS[broken](copy)

    with pytest.raises((AssertionError, TrustcastError)):
        assert_invariants(copy, left.before, accepted=left.accepted, within=0)
