"""What uploads held beside the certificates that they are about: kept and shown, trusted nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from trustcast.storage import blobs
from trustcast.storage.tables import certificate_blob, operation_chain
from trustcast.storage.uses import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection


def keep(transaction: Connection, chains: Mapping[str, Sequence[bytes]]) -> None:
    """Write down, for each operation (by id, written down before), what came with its certificate: DER, in order.

    As with all bytes (see `blobs`), the caller has appended to the audit chain.
    """
    ders = sorted({der for some in chains.values() for der in some})
    kept = dict(zip(ders, blobs.keep_all(transaction, ders), strict=True))
    rows = [
        {"operation": id, "position": position, "certificate": kept[der]}
        for id, some in chains.items()  # noqa: A001 - the field's name
        for position, der in enumerate(some)
    ]
    if rows:
        transaction.execute(insert(operation_chain), rows)


def of(transaction: Connection, ids: Iterable[str]) -> dict[str, list[bytes]]:
    """Return operation -> what came with its certificate, in DER and in order, for those with which something came."""
    columns, found = operation_chain.c, dict[str, list[bytes]]()
    for some in chunks(set(ids)):
        rows = transaction.execute(
            select(columns.operation, certificate_blob.c.der)
            .join_from(operation_chain, certificate_blob)
            .where(columns.operation.in_(some))
            .order_by(columns.operation, columns.position)
        )
        for row in rows:
            found.setdefault(row.operation, []).append(row.der)
    return found


def forget(transaction: Connection, ids: Iterable[str]) -> None:
    """Let go what came with these operations, and those bytes of it that nothing else refers to.

    As with all bytes (see `blobs`), the caller has appended to the audit chain.
    """
    gone = set[str]()
    for some in chunks(set(ids)):
        named = delete(operation_chain).where(operation_chain.c.operation.in_(some))
        gone.update(transaction.execute(named.returning(operation_chain.c.certificate)).scalars())
    blobs.forget_unused(transaction, gone)
