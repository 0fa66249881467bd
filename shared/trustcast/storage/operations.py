"""Operations: every accepted request and its fate."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, exists, func, insert, or_, select, update

from trustcast.domain.errors import NotFound
from trustcast.domain.operation import PENDING, Kind, State
from trustcast.storage import blobs, chains, uses
from trustcast.storage.tables import SUPER_TENANT, gateway, operation, operation_generation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import BindParameter, ColumnElement, Connection, ScalarSelect, Select

    from trustcast.domain.errors import TrustcastError


_CHUNK = 500  # databases bound the parameters of one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One accepted request. `certificate` is the SHA-256 of its stored bytes, None once they are gone.

    `if_match` is the SHA-256 of the certificate that has to be trusted under the alias when this is applied.
    `rotation` is the alias key of the other certificate in a rotation: an add with it comes beside that one, a replace
    with it takes that one's certificate over and lets that alias go. Before `activate_at` it is not applied.
    """

    id: str
    kind: Kind
    alias: str
    accepted_at: datetime
    requested_by: str
    tenant_id: int = SUPER_TENANT
    state: State = State.RECEIVED
    endpoint: str | None = None
    ca: bool = False
    accept_expired: bool = False
    force: bool = False
    if_match: str | None = None
    rotation: str | None = None
    activate_at: datetime | None = None
    certificate: str | None = None
    fingerprint_sha256: str | None = None
    problem: Mapping[str, Any] | None = None
    warnings: Sequence[Mapping[str, str]] = ()
    attempts: int = 0
    validated_at: datetime | None = None
    applied_at: datetime | None = None
    converged_at: datetime | None = None

    @property
    def alias_key(self) -> str:
        """The alias as it is compared and as Java writes it."""
        return self.alias.lower()

    def is_scheduled(self, at: datetime) -> bool:
        """Tell whether it is to be applied later than at `at`."""
        return self.activate_at is not None and self.activate_at > at

    def named(self) -> dict[str, Any]:
        """Return, for the audit chain, which request this is."""
        known = {"operation": self.id, "kind": self.kind, "alias": self.alias}
        return known | {"sha256": self.fingerprint_sha256}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation says of one operation: a problem, or warnings at most."""

    operation: Operation
    problem: Mapping[str, Any] | None = None
    warnings: Sequence[Mapping[str, str]] = field(default=())


_FIELDS = tuple(Operation.__dataclass_fields__)
_COLUMNS = [operation.c[name] for name in _FIELDS]


def add(transaction: Connection, new: Operation) -> None:
    """Write an accepted request down."""
    add_all(transaction, [new])


def add_all(transaction: Connection, new: Sequence[Operation]) -> None:
    """Write accepted requests down, in the order of acceptance."""
    if new:
        transaction.execute(insert(operation), [_row(one) for one in new])


def _row(new: Operation) -> dict[str, Any]:
    values = {name: getattr(new, name) for name in Operation.__dataclass_fields__}
    return values | {"alias_key": new.alias_key, "warnings": list(new.warnings)}


def get(transaction: Connection, tenant_id: int, id: str) -> Operation:  # noqa: A002 - the field's name
    """Return one operation of a tenant. Raises `NotFound("operation_not_found")`."""
    mine = operation.c.id == id, operation.c.tenant_id == tenant_id
    row = transaction.execute(select(*_COLUMNS).where(*mine)).one_or_none()
    if row is None:
        raise NotFound("operation_not_found", "There is no operation with this id.")
    return _operation(row)


def states(transaction: Connection, ids: Iterable[str]) -> dict[str, State]:
    """Return how far those of `ids` are that there are, whatever tenant's they are."""
    of, found, ordered = operation.c, dict[str, State](), sorted(ids)
    for start in range(0, len(ordered), _CHUNK):
        rows = transaction.execute(select(of.id, of.state).where(of.id.in_(ordered[start : start + _CHUNK])))
        found.update((row.id, State(row.state)) for row in rows)
    return found


def generations(transaction: Connection, id: str) -> dict[str, int]:  # noqa: A002
    """Return environment -> generation in which the operation took effect."""
    of = operation_generation.c
    return {
        row.environment: row.generation
        for row in transaction.execute(select(of.environment, of.generation).where(of.operation == id))
    }


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
    """The conditions stand in the UPDATE itself: of two workers that saw the same rows, the second updates none."""
    free = and_(
        operation.c.state == State.RECEIVED,
        which,
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < at),
    )
    oldest = select(operation.c.sequence).where(free).order_by(operation.c.sequence).limit(limit)
    rows = transaction.execute(
        update(operation)
        .where(free, operation.c.sequence.in_(oldest.scalar_subquery()))
        .values(lease_until=at + lease, leased_by=worker, attempts=operation.c.attempts + 1)
        .returning(*_COLUMNS, operation.c.sequence)
    ).all()
    return [_operation(row) for row in sorted(rows, key=lambda row: row.sequence)]


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


def exhausted(transaction: Connection, *, state: State, attempts: int, at: datetime) -> list[Operation]:
    """Return the operations in `state` that used up their attempts and that nobody leases any more."""
    return _listed(
        transaction,
        operation.c.state == state,
        operation.c.attempts >= attempts,
        or_(operation.c.lease_until.is_(None), operation.c.lease_until < at),
    )


def still_validated(transaction: Connection, sequences: Sequence[int]) -> list[Operation]:
    """Return those of `sequences` that wait for a truststore, in the order of acceptance."""
    return _listed(transaction, operation.c.state == State.VALIDATED, operation.c.sequence.in_(sequences))


def in_order(transaction: Connection, sequences: Sequence[int]) -> list[Operation]:
    """Return the operations that have these numbers (each once, ascending), in the order of acceptance."""
    return [
        one
        for start in range(0, len(sequences), _CHUNK)
        for one in _listed(transaction, operation.c.sequence.in_(sequences[start : start + _CHUNK]))
    ]


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


def is_due(at: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition that an operation, once it is validated, may be applied at `at`."""
    return or_(operation.c.activate_at.is_(None), operation.c.activate_at <= at)


def any_due(transaction: Connection, state: State, *, at: datetime) -> bool:
    """Tell whether some operation is in `state` that is not scheduled for later."""
    return bool(transaction.execute(_ANY_DUE, {"wanted": state, "due": at}).scalar_one())


_ANY_DUE = select(
    exists().where(
        operation.c.state == bindparam("wanted"), is_due(bindparam("due", type_=operation.c.activate_at.type))
    )
)


def on_its_way(tenant_id: int) -> ColumnElement[bool]:
    """Return the condition that an operation of a tenant has not ended.

    The sum keeps SQLite from the index of tenants and aliases, which leads through all that a tenant ever asked for.
    """
    return and_(operation.c.state.in_(PENDING), operation.c.tenant_id + 0 == tenant_id)


def pending(transaction: Connection, tenant_id: int, alias_key: str, *, due: datetime) -> list[Operation]:
    """Return what is on its way to change this alias until `due`, in the order of acceptance.

    The end of a rotation is among it for both its aliases.
    """
    touching = or_(operation.c.alias_key == alias_key, operation.c.rotation == alias_key)
    return _listed(transaction, on_its_way(tenant_id), touching, is_due(due))


def scheduled(transaction: Connection, tenant_id: int, *, at: datetime) -> int:
    """Count what waits for its time for a tenant; it costs as much as looking at all that has not ended."""
    waiting = on_its_way(tenant_id), operation.c.activate_at > at
    return int(transaction.execute(select(func.count()).select_from(operation).where(*waiting)).scalar_one())


def any_pending(transaction: Connection, tenant_id: int, *, kinds: Iterable[Kind], due: datetime) -> bool:
    """Tell whether a request of one of these kinds is on its way for the tenant, to be applied until `due`."""
    wanted = on_its_way(tenant_id), operation.c.kind.in_(list(kinds)), is_due(due)
    return bool(transaction.execute(select(exists().where(*wanted))).scalar_one())


def page(
    transaction: Connection, conditions: Sequence[ColumnElement[bool]], *, limit: int, offset: int
) -> tuple[list[Operation], int]:
    """Return one page, newest first, and how many there are in all. One condition names the tenant."""
    total = transaction.execute(select(func.count()).select_from(operation).where(*conditions)).scalar_one()
    newest = select(*_COLUMNS).where(*conditions).order_by(operation.c.sequence.desc())
    return [_operation(row) for row in transaction.execute(newest.limit(limit).offset(offset))], total


def generations_of(transaction: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return operation -> environment -> generation for each of `ids`."""
    of = operation_generation.c
    found: dict[str, dict[str, int]] = {id: {} for id in ids}  # noqa: A001
    for row in transaction.execute(select(of.operation, of.environment, of.generation).where(of.operation.in_(ids))):
        found[row.operation][row.environment] = row.generation
    return found


def problem(error: TrustcastError) -> dict[str, Any]:
    """Return an error as an operation keeps it."""
    return {"kind": type(error).__name__, "code": error.code, "detail": error.detail, "field": error.field}


def end(transaction: Connection, one: Operation, state: State, problem: Mapping[str, Any]) -> bool:
    """Close an operation as `rejected` or `failed`, with the reason; its certificate bytes are let go.

    Returns whether it counted: it does not if the operation moved on since it was read. Then `forget_bytes`.
    """
    result = transaction.execute(
        update(operation).where(operation.c.id == one.id, operation.c.state == one.state).values(_ended(state, problem))
    )
    return bool(result.rowcount)


def unended(transaction: Connection, ids: Select[tuple[str]]) -> list[Operation]:
    """Return those of the selected operations that have not ended."""
    mine = operation.c.id.in_(ids), operation.c.state.in_(PENDING)
    return [_operation(row) for row in transaction.execute(select(*_COLUMNS).where(*mine))]


def call_off(transaction: Connection, ids: Select[tuple[str]], told: Mapping[str, Any]) -> set[str]:
    """Reject those of the selected operations that have not ended, and return which. Then `forget_bytes`.

    Whoever holds the truststores knows that none is applied meanwhile.
    """
    mine = operation.c.id.in_(ids), operation.c.state.in_(PENDING)
    ended = update(operation).where(*mine).values(_ended(State.REJECTED, told)).returning(operation.c.id)
    return set(transaction.execute(ended).scalars())


def reject(transaction: Connection, refused: Sequence[tuple[Operation, TrustcastError]]) -> None:
    """Close validated operations, each with its reason. Whoever holds the truststores knows that none moves on."""
    if refused:
        transaction.execute(
            update(operation)
            .where(operation.c.id == bindparam("ended"), operation.c.state == State.VALIDATED)
            .values(_ended(State.REJECTED, bindparam("told"))),
            [{"ended": one.id, "told": problem(error)} for one, error in refused],
        )


def _ended(state: State, problem: Any) -> dict[str, Any]:
    return {"state": state, "problem": problem, "certificate": None, "lease_until": None, "leased_by": None}


def forget_bytes(transaction: Connection, ended: Collection[Operation]) -> None:
    """Let go the bytes of operations that took no effect, unless something else refers to them.

    As with all bytes (see `blobs`), the caller has appended to the audit chain.
    """
    if ended:
        chains.forget(transaction, [one.id for one in ended])
        blobs.forget_unused(transaction, [one.certificate for one in ended if one.certificate])


def blame(transaction: Connection, ids: Iterable[str]) -> None:
    """Count a failed attempt against operations that wait for a truststore."""
    transaction.execute(
        update(operation)
        .where(operation.c.id.in_(list(ids)), operation.c.state == State.VALIDATED)
        .values(attempts=operation.c.attempts + 1)
    )


def applied(
    transaction: Connection,
    done: Mapping[str, Mapping[str, int]],
    *,
    warnings: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    at: datetime,
) -> None:
    """Mark operations as applied: id -> environment -> the generation in which that one has it.

    `warnings`: id -> all that its owner is warned of, for those of which there is more by now.
    """
    alike = defaultdict[str | None, list[str]](list)
    for id in done:  # noqa: A001
        more = (warnings or {}).get(id)
        alike[None if more is None else json.dumps([dict(one) for one in more], sort_keys=True)].append(id)
    for told, ids in alike.items():
        values = {"state": State.APPLIED, "applied_at": at} | ({} if told is None else {"warnings": json.loads(told)})
        for some in uses.chunks(ids):
            transaction.execute(update(operation).where(operation.c.id.in_(some)).values(values))
    rows = [
        {"operation": id, "environment": environment, "generation": number}
        for id, generation_of in done.items()  # noqa: A001
        for environment, number in generation_of.items()
    ]
    if rows:
        transaction.execute(insert(operation_generation), rows)


def reached(environment: str, *, above: int, upto: int) -> ScalarSelect[str]:
    """Select the operations of the environment's generations from `above`, exclusive, to `upto`, inclusive."""
    of = operation_generation.c
    within = (of.environment == environment, of.generation > above, of.generation <= upto)
    return select(of.operation).where(*within).scalar_subquery()


def converge(transaction: Connection, candidates: ScalarSelect[str] | Sequence[str], *, at: datetime) -> None:
    """Stamp those candidates that every gateway of each of their environments has."""
    of = operation_generation.c
    behind = exists().where(
        of.operation == operation.c.id,
        gateway.c.environment == of.environment,
        gateway.c.token_sha256.is_not(None),
        gateway.c.generation < of.generation,
    )
    transaction.execute(
        update(operation)
        .where(operation.c.id.in_(candidates), operation.c.converged_at.is_(None), ~behind)
        .values(converged_at=at)
    )


def _listed(transaction: Connection, *conditions: Any, limit: int = 1000) -> list[Operation]:
    rows = transaction.execute(select(*_COLUMNS).where(*conditions).order_by(operation.c.sequence).limit(limit))
    return [_operation(row) for row in rows]


def _operation(row: Any) -> Operation:
    values = dict(zip(_FIELDS, row, strict=False))
    return Operation(**values | {"kind": Kind(row.kind), "state": State(row.state)})
