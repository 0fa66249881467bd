"""What is always true of Trustcast, whatever broke (docs/architecture.md, "Always true"): asserted after every fault.

Everything is judged from outside: rows, files and logs. Digests and contents are computed here anew.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Connection, Row, Table, func, select

from trustcast.domain import private_key
from trustcast.domain.certificate import Certificate
from trustcast.domain.head import key_id, opened, public_key_from_pem
from trustcast.domain.operation import ENDED
from trustcast.keystore import jks
from trustcast.storage import audit, tables
from trustcast.storage.session import Database
from trustcast_cli import sample_home
from trustcast_cli.data_folder import TRUSTSTORE_PASSWORD, DataFolder

Contents = Mapping[int, str]  # generation -> digest


@dataclass(frozen=True)
class Home:
    """What a gateway's own is in its files: no install may change a byte of it."""

    foreign: list[bytes]
    configuration: dict[Path, bytes]

    @classmethod
    def read(cls, folder: DataFolder, gateway: str) -> Home:
        home = folder.gateway_home(gateway)
        entries = jks.read(folder.truststore(gateway).read_bytes(), TRUSTSTORE_PASSWORD)
        files = (sample_home.AXIS2, sample_home.CARBON, sample_home.SSL_PROFILES)
        return cls(
            [entry.raw for entry in entries if not entry.is_ours], {file: (home / file).read_bytes() for file in files}
        )


@dataclass(frozen=True)
class Before:
    """What is known before the fault: each gateway's own, and `secrets` that must never turn up anywhere."""

    homes: Mapping[str, Home]
    secrets: Sequence[bytes]

    @classmethod
    def read(cls, folder: DataFolder, gateways: Iterable[str], secrets: Iterable[bytes] = ()) -> Before:
        head_key = load_pem_private_key(folder.head_key.read_bytes(), password=None)
        assert isinstance(head_key, Ed25519PrivateKey)
        homes = {gateway: Home.read(folder, gateway) for gateway in gateways}
        return cls(homes, [head_key.private_bytes_raw(), *secrets])


def assert_invariants(
    folder: DataFolder,
    before: Before,
    *,
    accepted: Iterable[str],
    database_url: str | None = None,
    within: float = 30,
) -> None:
    """Assert all seven on a data folder; `accepted` are the ids of the operations that were answered 202.

    Operations get `within` seconds to end. The services may go on running meanwhile.
    """
    database = Database(database_url or folder.database_url)
    try:
        _every_accepted_operation_ends(database, accepted, within)
        with database.reading() as transaction:
            contents = assert_truststores(transaction, public_key_from_pem(folder.head_public_key.read_bytes()))
            may_hold = _what_gateways_may_hold(transaction, contents)
            _no_generation_goes_down(transaction, folder, may_hold, before.homes)
            _managed_entries_were_signed(folder, may_hold, before.homes)
            _no_private_key_is_at_rest(transaction, folder, before.secrets)
            audit.verify(transaction)
            _files_are_whole_and_foreign_entries_untouched(folder, before.homes)
    finally:
        database.close()


def _every_accepted_operation_ends(database: Database, accepted: Iterable[str], within: float) -> None:
    deadline = time.monotonic() + within
    while (open_ := _not_ended(database)) and time.monotonic() < deadline:
        time.sleep(0.05)
    with database.reading() as transaction:
        known = set(transaction.execute(select(tables.operation.c.id)).scalars())

    assert open_ == {}, f"not ended after {within:g} s"
    assert set(accepted) - known == set(), "answered 202 and forgotten"


def _not_ended(database: Database) -> dict[str, int]:
    of = tables.operation.c
    with database.reading() as transaction:
        rows = transaction.execute(
            select(of.state, func.count().label("waiting")).where(of.state.not_in([*ENDED])).group_by(of.state)
        ).all()
        due = transaction.execute(select(func.count()).select_from(tables.routing_due)).scalar_one()
    return {row.state: row.waiting for row in rows} | ({"routing": due} if due else {})


def assert_truststores(transaction: Connection, public: Ed25519PublicKey) -> Mapping[str, Contents]:
    """Assert of every environment that its generations are contiguous and signed, and hold what is routed there.

    Nothing may be on its way. Returns what each environment held at each of its generations.
    """
    contents: dict[str, Contents] = {}
    for environment in transaction.execute(select(tables.environment.c.name)).scalars():
        contents[environment] = recomputed(transaction, environment)
        _heads_agree(transaction, environment, contents[environment], public)
        _current_state_agrees(transaction, environment, contents[environment])
    _stored_certificates_are_what_they_are_called(transaction)
    _names_are_the_certificates_own(transaction)
    return contents


def _what_gateways_may_hold(transaction: Connection, contents: Mapping[str, Contents]) -> Mapping[str, Contents]:
    of = tables.gateway.c
    return {row.name: contents[row.environment] for row in transaction.execute(select(of.name, of.environment))}


def recomputed(transaction: Connection, environment: str) -> Contents:
    """Play the change log from its beginning; return the digest of every generation, the empty one included."""
    of, stated = tables.truststore_change.c, tables.truststore.c
    newest = transaction.execute(select(stated.generation).where(stated.environment == environment)).scalar_one()
    changes: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in transaction.execute(select(tables.truststore_change).where(of.environment == environment)):
        changes[row.generation].append(row)
    assert changes.keys() <= set(range(1, newest + 1))
    entries: dict[str, str] = {}
    digests = {0: _digest(entries)}
    for generation in range(1, newest + 1):
        for row in changes[generation]:
            entries.pop(row.alias, None)
            if row.certificate is not None:
                entries[row.alias] = row.certificate
        digests[generation] = _digest(entries)
    return digests


def _digest(entries: Mapping[str, str]) -> str:
    lines = (f"{alias}\0{fingerprint}\n" for alias, fingerprint in entries.items())
    return hashlib.sha256("".join(sorted(lines)).encode("ascii")).hexdigest()


def _heads_agree(transaction: Connection, environment: str, contents: Contents, public: Ed25519PublicKey) -> None:
    of = tables.head.c
    rows = transaction.execute(select(tables.head).where(of.environment == environment).order_by(of.id)).all()
    heads = [opened(row.envelope.encode(), {key_id(public): public}) for row in rows]
    previous = None
    for row, head in zip(rows, heads, strict=True):
        assert (head.environment, head.generation) == (environment, row.generation)
        assert head.entries_sha256 == row.entries_sha256 == contents[row.generation]
        assert head.previous_head_sha256 == previous
        previous = head.sha256()
    assert _without_repeats([head.generation for head in heads]) == list(range(1, len(contents)))


def _without_repeats(numbers: Sequence[int]) -> list[int]:
    return [number for index, number in enumerate(numbers) if index == 0 or number != numbers[index - 1]]


def _current_state_agrees(transaction: Connection, environment: str, contents: Contents) -> None:
    of, stated = tables.truststore_entry.c, tables.truststore.c
    rows = transaction.execute(select(of.alias, of.certificate).where(of.environment == environment)).all()
    status = transaction.execute(select(tables.truststore).where(stated.environment == environment)).one()

    assert _digest({row.alias: row.certificate for row in rows}) == contents[status.generation]
    assert (status.entries, status.entries_sha256) == (len(rows), contents[status.generation])
    assert {row.alias: row.certificate for row in rows} == routed(transaction, environment)


_WANTED_BY = {"production": {"production", "hybrid"}, "sandbox": {"sandbox", "hybrid"}}


def routed(transaction: Connection, environment: str) -> dict[str, str]:
    """Return what an environment is to hold, by the certificates, the APIs that call what they serve, and its type."""
    of, calls, api = tables.certificate.c, tables.api_endpoint.c, tables.api.c
    kind = transaction.execute(select(tables.environment.c.type).filter_by(name=environment)).scalar_one()
    roles: dict[tuple[int, str], set[str]] = defaultdict(set)
    takes_certificates = calls.api == api.id, api.type.in_(["HTTP/REST", "HTTP/SOAP"])
    for call in transaction.execute(select(tables.api_endpoint).where(*takes_certificates)):
        for what in (call.endpoint, call.host, f"*.{call.parent}"):
            roles[call.tenant_id, what].add(call.role)
    names = _names_by_alias(transaction)
    entries: dict[str, str] = {}
    for row in transaction.execute(select(of.tenant_id, of.alias_key, of.endpoint, of.fingerprint_sha256)):
        served = (row.endpoint, *names[row.tenant_id, row.alias_key])
        called_as = {role for one in served for role in roles.get((row.tenant_id, one), ())}
        if (row.tenant_id, row.endpoint) not in roles:
            called_as = set(_WANTED_BY)
        if any(kind in _WANTED_BY[role] for role in called_as):
            alias = row.alias_key if row.tenant_id == tables.SUPER_TENANT else f"{row.alias_key}_{row.tenant_id}"
            assert alias not in entries, "two certificates want one alias on the gateways"
            entries[alias] = row.fingerprint_sha256
    return entries


def _names_by_alias(transaction: Connection) -> dict[tuple[int, str], set[str]]:
    names: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in transaction.execute(select(tables.certificate_name)):
        names[row.tenant_id, row.alias_key].add(row.name)
    return names


def _stored_certificates_are_what_they_are_called(transaction: Connection) -> None:
    for row in transaction.execute(select(tables.certificate_blob)):
        assert hashlib.sha256(row.der).hexdigest() == row.sha256


def _names_are_the_certificates_own(transaction: Connection) -> None:
    of, name = tables.certificate.c, tables.certificate_name.c
    stated = defaultdict[tuple[int, str], set[str]](set)
    for row in transaction.execute(select(name.tenant_id, name.alias_key, name.name)):
        stated[row.tenant_id, row.alias_key].add(row.name)
    for row in transaction.execute(select(of.tenant_id, of.alias_key, of.certificate)):
        own = Certificate.parse(base64.b64decode(row.certificate)).server_names

        assert stated.pop((row.tenant_id, row.alias_key), set()) == own
    assert stated == {}, "names of certificates that are gone"


def _no_generation_goes_down(
    transaction: Connection, folder: DataFolder, may_hold: Mapping[str, Contents], gateways: Iterable[str]
) -> None:
    """By what was reported, by what the listener logged, and on disk: not older than what was reported."""
    of = tables.gateway_report.c
    for gateway in gateways:
        reported = transaction.execute(select(of.generation).where(of.gateway == gateway).order_by(of.id)).scalars()
        history = list(reported)
        installed = [line["generation"] for line in log_lines(folder, gateway) if line.get("event") == "installed"]
        held = managed_digest(folder.truststore(gateway).read_bytes())
        on_disk = [number for number, digest in may_hold[gateway].items() if digest == held]

        assert history == sorted(history), gateway
        assert installed == sorted(installed), gateway
        assert max(on_disk, default=0) >= max(history, default=0), gateway


def _managed_entries_were_signed(folder: DataFolder, may_hold: Mapping[str, Contents], gateways: Iterable[str]) -> None:
    for gateway in gateways:
        assert managed_digest(folder.truststore(gateway).read_bytes()) in may_hold[gateway].values(), gateway


def managed_digest(data: bytes) -> str:
    """Return the digest of what Trustcast manages in a gateway's JKS: whose it is by our mark, its bytes by pyjks."""
    ours = {entry.alias for entry in jks.read(data, TRUSTSTORE_PASSWORD) if entry.is_ours}
    read = jks.second_reading(data, TRUSTSTORE_PASSWORD)
    return _digest({alias: read[alias] for alias in ours})


def log_lines(folder: DataFolder, name: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of a process' log; what a library or the interpreter wrote beside them is left out."""
    for line in folder.log(name).read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _no_private_key_is_at_rest(transaction: Connection, folder: DataFolder, secrets: Iterable[bytes]) -> None:
    needles = {form for secret in secrets for form in _forms(secret)} | {b"PRIVATE KEY"}
    truststores = {folder.truststore(home.name) for home in (folder.path / "gateways").iterdir()}
    for path, data in _files(folder):
        joined = data.translate(None, b"\r\n").replace(b"\\n", b"")  # PEM breaks its lines, JSON escapes the breaks

        assert [needle for needle in needles if needle in data or needle in joined] == [], path
        assert path in truststores or not private_key.found_in(data), path
    for table in tables.metadata.sorted_tables:
        _no_private_key_in(transaction, table, needles)


def _no_private_key_in(transaction: Connection, table: Table, needles: Iterable[bytes]) -> None:
    for row in transaction.execute(select(table)):
        for column, value in zip(table.columns, row, strict=True):
            data = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()

            assert not private_key.found_in(data), column
            assert [needle for needle in needles if needle in data] == [], column


def _files(folder: DataFolder) -> Iterator[tuple[Path, bytes]]:
    """Every file but those of the keys' folder, which is the one place for the head key."""
    for path in folder.path.rglob("*"):
        if path.is_file() and folder.head_key.parent not in path.parents:
            with contextlib.suppress(FileNotFoundError):  # what is temporary may have gone meanwhile
                yield path, path.read_bytes()


def _forms(secret: bytes) -> set[bytes]:
    """The bytes, their hexadecimal, and their base64 at each of the three places in a group where they can begin."""
    groups = [base64.b64encode(bytes(shift) + secret)[4:-4] for shift in range(3)]
    return {
        secret,
        secret.hex().encode(),
        *groups,
        *(group.translate(bytes.maketrans(b"+/", b"-_")) for group in groups),
    }


def _files_are_whole_and_foreign_entries_untouched(folder: DataFolder, homes: Mapping[str, Home]) -> None:
    for gateway, home in homes.items():
        jks.second_reading(folder.truststore(gateway).read_bytes(), TRUSTSTORE_PASSWORD)

        assert Home.read(folder, gateway) == home, gateway
