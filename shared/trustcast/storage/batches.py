"""Batches: many requests that came in one body, what became of each line, and how far the body was read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from trustcast.domain.errors import NotFound
from trustcast.domain.operation import State
from trustcast.storage.tables import batch, batch_line, operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

REFUSED = "refused"
_ENDED_BADLY = (State.REJECTED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch. `lines` is how many were read, `lines_sha256` the SHA-256 of all bytes up to there.

    `complete` is false as long as there may be more; `problem` says why there will be none though the body went on.
    """

    id: str
    tenant_id: int
    requested_by: str
    accepted_at: datetime
    lines: int
    lines_sha256: str
    complete: bool = False
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line that became an operation, or was refused with a problem at once. `alias` is None where none may be shown.

    `number` counts from 1; empty lines count, and have no `Line`.
    """

    number: int
    alias: str | None
    operation: str | None = None
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines of a batch are in each state of operations, were refused at once, and have converged."""

    states: dict[str, int]
    converged: int


_COLUMNS = [batch.c[name] for name in Batch.__dataclass_fields__]


def add(transaction: Connection, new: Batch) -> None:
    """Write a batch down."""
    transaction.execute(insert(batch).values(**asdict(new)))


def get(transaction: Connection, tenant_id: int, id: str) -> Batch:  # noqa: A002 - the field's name
    """Return one batch of a tenant. Raises `NotFound("batch_not_found")`."""
    mine = batch.c.id == id, batch.c.tenant_id == tenant_id
    row = transaction.execute(select(*_COLUMNS).where(*mine)).one_or_none()
    if row is None:
        raise NotFound("batch_not_found", "There is no batch with this id.")
    return Batch(**row._asdict())


def page(transaction: Connection, tenant_id: int, *, limit: int, offset: int) -> tuple[list[Batch], int]:
    """Return one page of a tenant's batches, the newest first, and how many there are in all."""
    mine = batch.c.tenant_id == tenant_id
    total = transaction.execute(select(func.count()).select_from(batch).where(mine)).scalar_one()
    newest = select(*_COLUMNS).where(mine).order_by(batch.c.accepted_at.desc(), batch.c.id)
    return [Batch(**row._asdict()) for row in transaction.execute(newest.limit(limit).offset(offset))], total


def advance(transaction: Connection, old: Batch, new: Batch) -> bool:
    """Bring a batch from how far it was read to how far it is now; false if somebody else did meanwhile."""
    of = batch.c
    result = transaction.execute(
        update(batch)
        .where(of.id == old.id, of.lines == old.lines, of.complete == old.complete)
        .values(lines=new.lines, lines_sha256=new.lines_sha256, complete=new.complete, problem=new.problem)
    )
    return bool(result.rowcount)


def add_lines(transaction: Connection, id: str, lines: Sequence[Line]) -> None:  # noqa: A002
    """Write down what became of these lines."""
    if not lines:
        return
    rows = [
        {"batch": id, "line": one.number, "alias": one.alias, "operation": one.operation, "problem": one.problem}
        for one in lines
    ]
    transaction.execute(insert(batch_line), rows)


def counts(transaction: Connection, id: str) -> Counts:  # noqa: A002
    """Count a batch's lines; every state is named."""
    of = operation.c
    rows = transaction.execute(
        select(of.state, func.count(), func.count(of.converged_at))
        .select_from(batch_line)
        .outerjoin(operation, of.id == batch_line.c.operation)
        .where(batch_line.c.batch == id)
        .group_by(of.state)
    ).all()
    states = {**dict.fromkeys(map(str, State), 0), REFUSED: 0}
    for state, number, _ in rows:
        states[state or REFUSED] += number
    return Counts(states, sum(converged for _, _, converged in rows))


def problems(transaction: Connection, id: str, *, limit: int, offset: int) -> tuple[list[Line], int]:  # noqa: A002
    """Return one page of the lines that came to nothing, by line, and how many there are in all.

    They were refused at once, or became operations that were rejected or failed.
    """
    of = batch_line.c
    joined = batch_line.outerjoin(operation, operation.c.id == of.operation)
    total = transaction.execute(select(func.count()).select_from(joined).where(_came_to_nothing(id))).scalar_one()
    rows = transaction.execute(
        select(of.line, of.alias, of.operation, of.problem, operation.c.problem.label("later"))
        .select_from(joined)
        .where(_came_to_nothing(id))
        .order_by(of.line)
        .limit(limit)
        .offset(offset)
    )
    return [Line(row.line, row.alias, row.operation, row.problem or row.later) for row in rows], total


def operations_of(id: str) -> Select[tuple[str]]:  # noqa: A002
    """Select the ids of the operations that a batch's lines became. Another condition names the tenant."""
    of = batch_line.c
    return select(of.operation).where(of.batch == id, of.operation.is_not(None))


def _came_to_nothing(id: str) -> ColumnElement[bool]:  # noqa: A002
    return and_(batch_line.c.batch == id, or_(batch_line.c.operation.is_(None), operation.c.state.in_(_ENDED_BADLY)))
