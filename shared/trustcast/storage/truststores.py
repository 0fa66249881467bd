"""Truststores: the generation of each environment, its entries now, its change log and its signed heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import String, and_, bindparam, case, cast, delete, insert, select, update

from trustcast.domain.errors import NotFound
from trustcast.domain.truststore import ChangeSet, Truststore
from trustcast.storage import uses
from trustcast.storage.tables import (
    SUPER_TENANT,
    certificate,
    certificate_blob,
    environment,
    head,
    operation,
    truststore,
    truststore_change,
    truststore_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.head import Head


@dataclass(frozen=True, slots=True)
class Status:
    """Where an environment stands: type, generation (0: nothing yet), number of entries and their digest."""

    environment: str
    type: str
    generation: int
    entries: int
    entries_sha256: str


def environments(transaction: Connection) -> list[str]:
    """Return every environment's name, sorted: the order in which their fences are taken."""
    return list(transaction.execute(select(environment.c.name).order_by(environment.c.name)).scalars())


def status(transaction: Connection, name: str) -> Status:
    """Return where the environment stands. Raises `NotFound("environment_not_found")`."""
    of = truststore.c
    row = transaction.execute(
        select(of.environment, environment.c.type, of.generation, of.entries, of.entries_sha256)
        .join_from(truststore, environment)
        .where(of.environment == name)
    ).one_or_none()
    if row is None:
        raise NotFound("environment_not_found", "There is no environment with this name.")
    return Status(*row)


def advance(transaction: Connection, name: str, *, expected: int, content: Truststore, digest: str) -> bool:
    """Move the environment from generation `expected` to the next: the compare-and-swap that fences every writer."""
    result = transaction.execute(
        update(truststore)
        .where(truststore.c.environment == name, truststore.c.generation == expected)
        .values(generation=expected + 1, entries=len(content), entries_sha256=digest)
    )
    return bool(result.rowcount)


def hold(transaction: Connection, name: str, *, expected: int) -> bool:
    """Take the same fence without moving: nobody advances the environment until this transaction ends."""
    result = transaction.execute(
        update(truststore)
        .where(truststore.c.environment == name, truststore.c.generation == expected)
        .values(generation=expected)
    )
    return bool(result.rowcount)


def hold_all(transaction: Connection) -> list[str]:
    """Take the fence of every environment, one after another in the order of their names, and return these."""
    held = environments(transaction)
    for name in held:
        transaction.execute(update(truststore).where(truststore.c.environment == name).values(environment=name))
    return held


def log(transaction: Connection, name: str, generation: int, changes: ChangeSet, *, before: Truststore) -> None:
    """Write the change log of `generation` and bring the current entries, which are those of `before`, up to it."""
    if not changes:
        return
    here: dict[str, object] = {"environment": name, "generation": generation}
    rows = [*changes.put.items(), *((alias, None) for alias in changes.remove)]
    transaction.execute(
        insert(truststore_change), [here | {"alias": alias, "certificate": sha256} for alias, sha256 in rows]
    )
    of = truststore_entry.c
    for gone in uses.chunks(alias for alias, _ in rows if alias in before.entries):
        transaction.execute(delete(truststore_entry).where(of.environment == name, of.alias.in_(gone)))
    transaction.execute(_PUT_CHANGED, here)


# What was just written the database reads itself: sent once more it would take several times as long.
_CHANGED = truststore_change.c
_PUT = (_CHANGED.environment, _CHANGED.alias, _CHANGED.certificate)
_PUT_CHANGED = insert(truststore_entry).from_select(
    [column.name for column in _PUT],
    select(*_PUT).where(
        _CHANGED.environment == bindparam("environment"),
        _CHANGED.generation == bindparam("generation"),
        _CHANGED.certificate.is_not(None),
    ),
)


def content(transaction: Connection, name: str) -> Truststore:
    """Return all current entries; linear in their number."""
    of = truststore_entry.c
    rows = transaction.execute(select(of.alias, of.certificate).where(of.environment == name))
    return Truststore({row.alias: row.certificate for row in rows})


@dataclass(frozen=True, slots=True)
class Noted:
    """Until when the certificate of an entry is valid, and what its owner was warned of when it came in."""

    not_after: datetime
    warnings: Sequence[Mapping[str, str]]


def noted(transaction: Connection, name: str) -> dict[str, Noted]:
    """Return alias -> what is noted of each current entry; linear in their number.

    The aliases in truststores are those of `aliases.on_gateways`.
    """
    of, entry = certificate.c, truststore_entry.c
    others = of.alias_key + "_" + cast(of.tenant_id, String)
    alias = case((of.tenant_id == SUPER_TENANT, of.alias_key), else_=others)
    same = and_(entry.alias == alias, entry.certificate == of.fingerprint_sha256)
    rows = transaction.execute(
        select(entry.alias, of.not_after, operation.c.warnings)
        .join_from(certificate, operation, of.operation == operation.c.id)
        .join(truststore_entry, same)
        .where(entry.environment == name)
    )
    return {row.alias: Noted(row.not_after, row.warnings) for row in rows}


def changes(transaction: Connection, name: str, *, after: int) -> ChangeSet:
    """Return the net change from generation `after` to now: for each alias the last word since then."""
    of = truststore_change.c
    rows = transaction.execute(
        select(of.alias, of.certificate)
        .where(of.environment == name, of.generation > after)
        .order_by(of.generation)  # the order of the primary key: what is read grows with the changes, not with the log
    )
    last = {row.alias: row.certificate for row in rows}
    return ChangeSet(
        put={alias: sha256 for alias, sha256 in last.items() if sha256 is not None},
        remove=frozenset(alias for alias, sha256 in last.items() if sha256 is None),
    )


def certificates(transaction: Connection, name: str) -> Iterable[tuple[str, bytes]]:
    """Yield alias and DER of all current entries, by alias."""
    of = truststore_entry.c
    rows = transaction.execute(
        select(of.alias, certificate_blob.c.der)
        .join_from(truststore_entry, certificate_blob)
        .where(of.environment == name)
        .order_by(of.alias)
    )
    return ((row.alias, row.der) for row in rows)


def add_head(transaction: Connection, new: Head, envelope: bytes) -> None:
    """Keep a signed head; every head that was ever signed stays on record."""
    transaction.execute(
        insert(head).values(
            environment=new.environment,
            generation=new.generation,
            entries_sha256=new.entries_sha256,
            payload_sha256=new.sha256(),
            issued_at=new.issued_at,
            envelope=envelope.decode("ascii"),
        )
    )


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The newest head of an environment; `envelope` is DSSE in JSON, `payload_sha256` what the next head names."""

    generation: int
    payload_sha256: str
    issued_at: datetime
    envelope: str


def newest_head(transaction: Connection, name: str) -> SignedHead | None:
    """Return the newest head, None before the first generation."""
    of = head.c
    row = transaction.execute(
        select(of.generation, of.payload_sha256, of.issued_at, of.envelope)
        .where(of.environment == name)
        .order_by(of.generation.desc(), of.id.desc())
        .limit(1)
    ).one_or_none()
    return SignedHead(*row) if row else None


def digest_of(transaction: Connection, name: str, generation: int) -> str | None:
    """Return the digest that was signed for `generation`, None if it never was; generation 0 is empty."""
    if generation == 0:
        return Truststore().digest()
    of = head.c
    return transaction.execute(
        select(of.entries_sha256).where(of.environment == name, of.generation == generation).limit(1)
    ).scalar_one_or_none()
