"""Whose turn it is to be validated, and what came of it: claimed with a lease, settled by who still has it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select, update

from trustcast.domain.operation import State
from trustcast.storage import operations, uses
from trustcast.storage.tables import operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, Connection

    from trustcast.storage.operations import Operation


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation says of one operation: a problem, or warnings at most."""

    operation: Operation
    problem: Mapping[str, Any] | None = None
    warnings: Sequence[Mapping[str, str]] = field(default=())


def claim(
    transaction: Connection, *, worker: str, at: datetime, lease: timedelta, attempts: int, limit: int
) -> list[Operation]:
    """Lease up to `limit` received operations to `worker`, oldest first, and count the attempt.

    One that was tried before comes after the others and alone: if it was the one that ended its worker, it ends no
    innocent one's attempt again.
    """
    fresh = _claimed(transaction, operation.c.attempts == 0, worker=worker, at=at, lease=lease, limit=limit)
    if fresh:
        return fresh
    tried = and_(operation.c.attempts > 0, operation.c.attempts < attempts)
    return _claimed(transaction, tried, worker=worker, at=at, lease=lease, limit=1)


def _claimed(
    transaction: Connection, which: ColumnElement[bool], *, worker: str, at: datetime, lease: timedelta, limit: int
) -> list[Operation]:
    """The conditions stand in the UPDATE itself: of two workers that saw the same rows, the second updates none.

    PostgreSQL passes by what another is about to claim. With the rows looked for in the UPDATE it looks for all of them
    once for each row that waits: 200 ms for 5,000.
    """
    free = and_(
        operation.c.state == State.RECEIVED,
        which,
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < at),
    )
    oldest = select(operation.c.sequence).where(free).order_by(operation.c.sequence).limit(limit)
    found = transaction.execute(oldest.with_for_update(skip_locked=True)).scalars().all()
    if not found:
        return []
    rows = transaction.execute(
        update(operation)
        .where(free, operation.c.sequence.in_(found))
        .values(lease_until=at + lease, leased_by=worker, attempts=operation.c.attempts + 1)
        .returning(*operations.COLUMNS, operation.c.sequence)
    ).all()
    return [operations.of_row(row) for row in sorted(rows, key=lambda row: row.sequence)]


def settle(transaction: Connection, verdicts: Sequence[Verdict], *, worker: str, at: datetime) -> list[Verdict]:
    """Write verdicts down for the operations that `worker` still leases; return those that counted.

    One statement for all that have the same verdict: of 10,000 certificates most do.

    A worker that was paused past its lease finds its operations taken by another and changes nothing.
    """
    alike = defaultdict[str, list[Verdict]](list)
    for verdict in verdicts:
        alike[json.dumps([verdict.problem, verdict.warnings], sort_keys=True)].append(verdict)
    counted = set[str]()
    for some in alike.values():
        for chunk in uses.chunks(one.operation.id for one in some):
            settled = update(operation).where(operation.c.id.in_(chunk), *_leased_by(worker)).values(_told(some[0], at))
            counted.update(transaction.execute(settled.returning(operation.c.id)).scalars())
    return [one for one in verdicts if one.operation.id in counted]


def _leased_by(worker: str) -> tuple[ColumnElement[bool], ...]:
    return operation.c.state == State.RECEIVED, operation.c.leased_by == worker


def _told(verdict: Verdict, at: datetime) -> dict[str, Any]:
    values = {"warnings": list(verdict.warnings), "validated_at": at, "attempts": 0}
    values |= {"state": State.VALIDATED, "lease_until": None, "leased_by": None}
    refused = {"state": State.REJECTED, "problem": verdict.problem, "certificate": None}
    return values | refused if verdict.problem else values
