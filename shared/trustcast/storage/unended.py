"""Operations that have not ended: which there are, which are due, and which wait for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, func, or_, select, update

from trustcast.domain.operation import PENDING, Kind, State
from trustcast.storage import operations
from trustcast.storage.tables import operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import BindParameter, ColumnElement, Connection, Select

    from trustcast.storage.operations import Operation


def on_its_way(tenant_id: int) -> ColumnElement[bool]:
    """Return the condition that an operation of a tenant has not ended.

    The sum keeps SQLite from the index of tenants and aliases, which leads through all that a tenant ever asked for.
    """
    return and_(operation.c.state.in_(PENDING), operation.c.tenant_id + 0 == tenant_id)


def is_due(at: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition that an operation, once it is validated, may be applied at `at`."""
    return or_(operation.c.activate_at.is_(None), operation.c.activate_at <= at)


def of(transaction: Connection, ids: Select[tuple[str]]) -> list[Operation]:
    """Return those of the selected operations that have not ended."""
    mine = operation.c.id.in_(ids), operation.c.state.in_(PENDING)
    return [operations.of_row(row) for row in transaction.execute(select(*operations.COLUMNS).where(*mine))]


def pending(transaction: Connection, tenant_id: int, alias_key: str, *, due: datetime) -> list[Operation]:
    """Return what is on its way to change this alias until `due`, in the order of acceptance.

    The end of a rotation is among it for both its aliases.
    """
    touching = or_(operation.c.alias_key == alias_key, operation.c.rotation == alias_key)
    return operations.listed(transaction, on_its_way(tenant_id), touching, is_due(due))


def any_pending(transaction: Connection, tenant_id: int, *, kinds: Iterable[Kind], due: datetime) -> bool:
    """Tell whether a request of one of these kinds is on its way for the tenant, to be applied until `due`."""
    wanted = on_its_way(tenant_id), operation.c.kind.in_(list(kinds)), is_due(due)
    return bool(transaction.execute(select(exists().where(*wanted))).scalar_one())


def scheduled(transaction: Connection, tenant_id: int, *, at: datetime) -> int:
    """Count what waits for its time for a tenant; it costs as much as looking at all that has not ended."""
    waiting = on_its_way(tenant_id), operation.c.activate_at > at
    return int(transaction.execute(select(func.count()).select_from(operation).where(*waiting)).scalar_one())


def still_validated(transaction: Connection, sequences: Sequence[int]) -> list[Operation]:
    """Return those of `sequences` that wait for a truststore, in the order of acceptance."""
    return operations.listed(transaction, operation.c.state == State.VALIDATED, operation.c.sequence.in_(sequences))


def any_due(transaction: Connection, state: State, *, at: datetime) -> bool:
    """Tell whether some operation is in `state` that is not scheduled for later."""
    return bool(transaction.execute(_ANY_DUE, {"wanted": state, "due": at}).scalar_one())


_ANY_DUE = select(
    exists().where(
        operation.c.state == bindparam("wanted"), is_due(bindparam("due", type_=operation.c.activate_at.type))
    )
)


def any_overdue(transaction: Connection, state: State, *, at: datetime, grace: timedelta) -> bool:
    """Tell whether an operation in `state` that nobody leases waits for longer than `grace`.

    For what is scheduled no wake-up is on its way when its time comes: to be applied it gets no grace.
    """
    of = operation.c
    free = [of.state == state, or_(of.lease_until.is_(None), of.lease_until < at)]
    late: ColumnElement[bool] = of.accepted_at <= at - grace
    if state is State.VALIDATED:
        free.append(is_due(at))
        late = or_(late, of.activate_at > of.accepted_at)
    return bool(transaction.execute(select(exists().where(*free, late))).scalar_one())


def exhausted(transaction: Connection, *, state: State, attempts: int, at: datetime) -> list[Operation]:
    """Return the operations in `state` that used up their attempts and that nobody leases any more."""
    return operations.listed(
        transaction,
        operation.c.state == state,
        operation.c.attempts >= attempts,
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < at),
    )


def blame(transaction: Connection, ids: Iterable[str]) -> None:
    """Count a failed attempt against operations that wait for a truststore."""
    transaction.execute(
        update(operation)
        .where(operation.c.id.in_(list(ids)), operation.c.state == State.VALIDATED)
        .values(attempts=operation.c.attempts + 1)
    )
