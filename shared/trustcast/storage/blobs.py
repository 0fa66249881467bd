"""Certificate bytes by their SHA-256, stored once.

Whoever keeps or forgets bytes has appended to the audit chain before, in the same transaction. So these transactions
follow one another, and none takes away what another has just found or still counts on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from trustcast.storage.tables import certificate_blob, operation, operation_chain, truststore_change, truststore_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_CHUNK = 500  # databases bound the parameters of one statement


def keep(transaction: Connection, der: bytes) -> str:
    """Store `der` unless it is there; return its SHA-256 in hexadecimal."""
    (sha256,) = keep_all(transaction, [der])
    return sha256


def keep_all(transaction: Connection, ders: Iterable[bytes]) -> list[str]:
    """Store each of `ders` unless it is there; return their SHA-256s in hexadecimal."""
    named = [(hashlib.sha256(der).hexdigest(), der) for der in ders]
    if named:
        make = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
        rows = [{"sha256": sha256, "der": der} for sha256, der in named]
        transaction.execute(make(certificate_blob).on_conflict_do_nothing(), rows)
    return [sha256 for sha256, _ in named]


def read(transaction: Connection, sha256s: Iterable[str]) -> dict[str, bytes]:
    """Return SHA-256 -> DER for those that are stored."""
    of = certificate_blob.c
    found: dict[str, bytes] = {}
    wanted = sorted(set(sha256s))
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        found.update(
            (row.sha256, row.der) for row in transaction.execute(select(of.sha256, of.der).where(of.sha256.in_(chunk)))
        )
    return found


def forget_unused(transaction: Connection, sha256s: Iterable[str]) -> None:
    """Delete those bytes that no operation and no truststore, past or present, refers to."""
    if not (candidates := set(sha256s)):
        return
    of = certificate_blob.c.sha256
    used = [
        exists().where(operation.c.certificate == of),
        exists().where(operation_chain.c.certificate == of),
        exists().where(truststore_entry.c.certificate == of),
        exists().where(truststore_change.c.certificate == of),
    ]
    transaction.execute(delete(certificate_blob).where(of.in_(candidates), *(~one for one in used)))
