"""Look at the audit chain: filters, a page behind any event, and the chain's end for whoever keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.domain.errors import Rejected
from trustcast.storage import audit, tenants
from trustcast.storage.tables import audit_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from trustcast.storage.audit import Recorded, Tail
    from trustcast.storage.session import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means anything. `tenant` is a domain."""

    tenant: str | None = None
    actor: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the chain, and behind which number the next ones are (None: there are none).

    `domains` names the tenants. `tail` is the end of the whole chain.
    """

    events: Sequence[Recorded]
    next: int | None
    domains: Mapping[int, str]
    tail: Tail


def list_audit(database: Database, filters: Filters, *, after: int, limit: int) -> Page:
    """Return the events behind number `after` that match. Raises `Rejected("tenant_unknown")`."""
    with database.reading() as transaction:
        conditions = _conditions(transaction, filters)
        events, following = audit.page(transaction, conditions, after=after, limit=limit)
        ids = {one.tenant_id for one in events if one.tenant_id is not None}
        found = [one for id_ in ids if (one := tenants.by_id(transaction, id_)) is not None]
        return Page(events, following, {one.id: one.domain for one in found}, audit.tail(transaction))


def _conditions(transaction: Connection, filters: Filters) -> list[ColumnElement[bool]]:
    conditions = []
    if filters.tenant is not None:
        tenant = tenants.by_domain(transaction, filters.tenant)
        if tenant is None:
            raise Rejected("tenant_unknown", tenants.UNKNOWN_DOMAIN, field="tenant")
        conditions.append(audit_event.c.tenant_id == tenant.id)
    if filters.actor is not None:
        conditions.append(audit_event.c.actor == filters.actor)
    if filters.action is not None:
        conditions.append(audit_event.c.action == filters.action)
    return conditions
