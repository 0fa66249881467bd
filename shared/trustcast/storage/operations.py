"""Operations: every accepted request and its fate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from trustcast.domain.errors import NotFound
from trustcast.domain.operation import Kind, State
from trustcast.storage import uses
from trustcast.storage.tables import SUPER_TENANT, operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from trustcast.domain.errors import TrustcastError


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


_CHUNK = 500  # databases bound the parameters of one statement
_FIELDS = tuple(Operation.__dataclass_fields__)
COLUMNS = [operation.c[name] for name in _FIELDS]
"""What `of_row` needs, in this order."""


def add(transaction: Connection, new: Operation) -> None:
    """Write an accepted request down."""
    add_all(transaction, [new])


def add_all(transaction: Connection, new: Sequence[Operation]) -> None:
    """Write accepted requests down, in the order of acceptance."""
    if new:
        # What is None in all of them, and that is half of it, the database fills in: it is told faster so.
        told = [name for name in _FIELDS if any(getattr(one, name) is not None for one in new)]
        transaction.execute(insert(operation), [_row(one, told) for one in new])


def _row(new: Operation, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(new, name) for name in names}
    return values | {"alias_key": new.alias_key, "warnings": list(new.warnings)}


def get(transaction: Connection, tenant_id: int, id: str) -> Operation:  # noqa: A002 - the field's name
    """Return one operation of a tenant. Raises `NotFound("operation_not_found")`."""
    mine = operation.c.id == id, operation.c.tenant_id == tenant_id
    row = transaction.execute(select(*COLUMNS).where(*mine)).one_or_none()
    if row is None:
        raise NotFound("operation_not_found", "There is no operation with this id.")
    return of_row(row)


def states(transaction: Connection, ids: Iterable[str]) -> dict[str, State]:
    """Return how far those of `ids` are that there are, whatever tenant's they are."""
    of, found = operation.c, dict[str, State]()
    for some in uses.chunks(ids):
        rows = transaction.execute(select(of.id, of.state).where(of.id.in_(some)))
        found.update((row.id, State(row.state)) for row in rows)
    return found


def in_order(transaction: Connection, sequences: Sequence[int]) -> list[Operation]:
    """Return the operations that have these numbers (each once, ascending), in the order of acceptance."""
    return [
        one
        for start in range(0, len(sequences), _CHUNK)
        for one in listed(transaction, operation.c.sequence.in_(sequences[start : start + _CHUNK]))
    ]


def page(
    transaction: Connection, conditions: Sequence[ColumnElement[bool]], *, limit: int, offset: int
) -> tuple[list[Operation], int]:
    """Return one page, newest first, and how many there are in all. One condition names the tenant."""
    total = transaction.execute(select(func.count()).select_from(operation).where(*conditions)).scalar_one()
    newest = select(*COLUMNS).where(*conditions).order_by(operation.c.sequence.desc())
    return [of_row(row) for row in transaction.execute(newest.limit(limit).offset(offset))], total


def problem(error: TrustcastError) -> dict[str, Any]:
    """Return an error as an operation keeps it."""
    return {"kind": type(error).__name__, "code": error.code, "detail": error.detail, "field": error.field}


def listed(transaction: Connection, *conditions: Any, limit: int = 1000) -> list[Operation]:
    """Return up to `limit` operations that meet all conditions, in the order of acceptance."""
    rows = transaction.execute(select(*COLUMNS).where(*conditions).order_by(operation.c.sequence).limit(limit))
    return [of_row(row) for row in rows]


def of_row(row: Any) -> Operation:
    """Return the operation of a row whose first columns are `COLUMNS`."""
    values = dict(zip(_FIELDS, row, strict=False))
    return Operation(**values | {"kind": Kind(row.kind), "state": State(row.state)})
