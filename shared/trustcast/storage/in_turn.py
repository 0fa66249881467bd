"""Whose turn it is: which validated requests may be applied now without overtaking one that could collide with them.

What is applied is to come out as if requests had been taken one by one in the order of acceptance, though their
verdicts come in any order. Two adds that share no alias, endpoint or certificate may change places. A delete or a
replace changes places with nobody of its tenant: it frees what others ask for, and others may cover what it ends.

What is scheduled is out of all this until its time comes. Then it is taken in the order of acceptance as well, after
what has been applied meanwhile.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, union_all

from trustcast.domain.operation import PENDING, Kind, State
from trustcast.storage import unended
from trustcast.storage.tables import certificate_blob, operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import CompoundSelect, Connection

    from trustcast.storage.operations import Operation

_AT_ONCE = 500


def validated(transaction: Connection, *, limit: int, at: datetime) -> list[Operation]:
    """Return up to `limit` operations that wait for a truststore and for no earlier operation, oldest first.

    Who waits for one that waits, waits too. One that an attempt failed on comes alone, so that it cannot take others
    down with it.
    """
    newest = _newest_by_tenant(transaction, at)
    if not newest:
        return []
    with transaction.execute(_waiting(newest, at), execution_options={"yield_per": _AT_ONCE}) as rows:
        free = list(itertools.islice(_in_turn(rows), limit))
    found = unended.still_validated(transaction, free)
    suspects = [one for one in found if one.attempts]
    return suspects[:1] if suspects else found


def coming(transaction: Connection, *, limit: int, at: datetime) -> list[bytes]:
    """Return, in DER, up to `limit` certificates of operations that may come next: not all of them are free."""
    of = operation.c
    rows = transaction.execute(
        select(certificate_blob.c.der)
        .join_from(operation, certificate_blob)
        .where(of.state == State.VALIDATED, unended.is_due(at))
        .order_by(of.sequence)
        .limit(limit)
    )
    return list(rows.scalars())


def _newest_by_tenant(transaction: Connection, at: datetime) -> dict[int, int]:
    of = operation.c
    rows = transaction.execute(
        select(of.tenant_id, func.max(of.sequence))
        .where(of.state == State.VALIDATED, unended.is_due(at))
        .group_by(of.tenant_id)
    )
    return {tenant_id: sequence for tenant_id, sequence in rows}  # noqa: C416 - rows are no pairs to mypy


def _waiting(newest: Mapping[int, int], at: datetime) -> CompoundSelect[Any]:
    """Select what has not ended of these tenants, oldest first, up to their newest that is validated.

    One statement, or a verdict given between two would show its operation in neither. Each branch is a range of the
    index of states; the sum keeps databases from the index of tenants, which leads through all that one ever asked for.
    """
    of = operation.c
    needed = of.sequence, of.state, of.tenant_id, of.kind, of.alias_key, of.rotation, of.endpoint, of.fingerprint_sha256
    concerned = of.sequence <= max(newest.values()), (of.tenant_id + 0).in_(list(newest)), unended.is_due(at)
    return union_all(*(select(*needed).where(of.state == state, *concerned) for state in PENDING)).order_by("sequence")


def _in_turn(rows: Iterable[Any]) -> Iterator[int]:
    """Yield the sequences of those that nobody stops. Each costs the same, however many are held back."""
    held: dict[int, _Held] = defaultdict(_Held)
    for row in rows:
        behind = held[row.tenant_id]
        if row.state == State.RECEIVED or behind.stops(row):
            behind.join(row)
        else:
            yield row.sequence


class _Held:
    """What of one tenant is held back."""

    def __init__(self) -> None:
        self._adds_only, self._touched = True, set[tuple[str, str]]()

    def stops(self, one: Any) -> bool:
        """Tell whether `one`, which came later, could collide with any of them."""
        if one.kind == Kind.ADD and self._adds_only:
            return bool(self._touched) and not self._touched.isdisjoint(_touched(one))
        return bool(self._touched)

    def join(self, one: Any) -> None:
        self._adds_only = self._adds_only and one.kind == Kind.ADD
        self._touched.update(_touched(one))


def _touched(one: Any) -> Iterator[tuple[str, str]]:
    yield "alias", one.alias_key
    for what, value in (("alias", one.rotation), ("at", one.endpoint), ("certificate", one.fingerprint_sha256)):
        if value is not None:
            yield what, value
