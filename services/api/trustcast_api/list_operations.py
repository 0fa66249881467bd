"""Look at requests and their fates, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.storage import arrivals, batches, operations
from trustcast.storage.tables import operation

if TYPE_CHECKING:
    from trustcast.domain.operation import Kind, State
    from trustcast.storage.operations import Operation
    from trustcast.storage.session import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means anything. `alias` is compared without case, `batch` is a batch's id."""

    state: State | None = None
    kind: Kind | None = None
    alias: str | None = None
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page of operations, how many match in all, and the generations of each, by environment."""

    operations: list[Operation]
    total: int
    generations: dict[str, dict[str, int]]


def list_operations(database: Database, tenant_id: int, filters: Filters, *, limit: int, offset: int) -> Found:
    """Return one page of a tenant's operations."""
    of = operation.c
    conditions = [of.tenant_id == tenant_id]
    if filters.state is not None:
        conditions.append(of.state == filters.state)
    if filters.kind is not None:
        conditions.append(of.kind == filters.kind)
    if filters.alias is not None:
        conditions.append(of.alias_key == filters.alias.lower())
    if filters.batch is not None:
        conditions.append(of.id.in_(batches.operations_of(filters.batch)))
    with database.reading() as transaction:
        found, total = operations.page(transaction, conditions, limit=limit, offset=offset)
        return Found(found, total, arrivals.generations_of(transaction, [one.id for one in found]))
