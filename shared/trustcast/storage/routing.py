"""Which environments a certificate goes to, and whose have to be looked at again.

Who calls the backend says it: a production endpoint's certificate goes to production and hybrid environments, a sandbox
endpoint's to sandbox and hybrid, an endpoint's of no registered API to all. APIs of types that take no certificates
say nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from trustcast.domain.messages import OperationValidated
from trustcast.domain.published_api import SUPPORTED_TYPES
from trustcast.domain.register import Holding
from trustcast.storage import outbox
from trustcast.storage.tables import api, api_endpoint, certificate, environment, routing_due

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

_ROLES_OF = {"production": ("production",), "sandbox": ("sandbox",), "hybrid": ("production", "sandbox")}
_CHUNK = 500  # databases bound the parameters of one statement


def environments_of(transaction: Connection, tenant_id: int, endpoints: Iterable[str]) -> dict[str, set[str]]:
    """Return, for each endpoint (normal form) of a tenant, the names of the environments its certificates go to."""
    wanted = set(endpoints)
    roles = _roles(transaction, tenant_id, sorted(wanted))
    by_role = environments_by_role(transaction)
    return {
        endpoint: set().union(*(by_role[role] for role in roles.get(endpoint, by_role.keys()))) for endpoint in wanted
    }


def environments_by_role(transaction: Connection) -> dict[str, set[str]]:
    """Return, for each role of an endpoint, the names of the environments that its certificates go to."""
    found: dict[str, set[str]] = {"production": set(), "sandbox": set()}
    for row in transaction.execute(select(environment.c.type, environment.c.name)):
        for role in _ROLES_OF[row.type]:
            found[role].add(row.name)
    return found


def _roles(transaction: Connection, tenant_id: int, endpoints: Sequence[str]) -> dict[str, set[str]]:
    of, found = api_endpoint.c, defaultdict[str, set[str]](set)
    called = select(of.endpoint, of.role).join_from(api_endpoint, api, api.c.id == of.api).distinct()
    called = called.where(of.tenant_id == tenant_id, api.c.type.in_(SUPPORTED_TYPES))
    for start in range(0, len(endpoints), _CHUNK):
        for row in transaction.execute(called.where(of.endpoint.in_(endpoints[start : start + _CHUNK]))):
            found[row.endpoint].add(row.role)
    return found


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be looked at again: an endpoint of a tenant. None: all of them."""

    id: int
    tenant_id: int | None
    endpoint: str | None


def look_again(
    transaction: Connection,
    *,
    source: str,
    at: datetime,
    tenant_id: int | None = None,
    endpoints: Iterable[str] | None = None,
) -> None:
    """Have the environments of a tenant's certificates for `endpoints` decided anew, and owe the wake-up for it.

    Without `endpoints` all of the tenant's are; without a tenant, everybody's. Call it in the transaction that changes
    an API or an environment.
    """
    rows = [None] if endpoints is None else sorted(set(endpoints))
    if not rows:
        return
    due = [{"tenant_id": tenant_id, "endpoint": endpoint, "created_at": at} for endpoint in rows]
    transaction.execute(insert(routing_due), due)
    outbox.add(transaction, OperationValidated("any"), source=source, at=at)


def due(transaction: Connection, *, limit: int = 1000) -> list[Due]:
    """Return what is to be looked at again, oldest first."""
    of = routing_due.c
    rows = transaction.execute(select(of.id, of.tenant_id, of.endpoint).order_by(of.id).limit(limit))
    return [Due(*row) for row in rows]


def due_since(transaction: Connection) -> datetime | None:
    """Return since when something waits to be looked at again, None if nothing does."""
    oldest: datetime | None = transaction.execute(select(func.min(routing_due.c.created_at))).scalar_one()
    return oldest


def strike_off(transaction: Connection, done: Sequence[Due]) -> None:
    """Forget what has been looked at."""
    if done:
        transaction.execute(delete(routing_due).where(routing_due.c.id.in_([one.id for one in done])))


def concerned(transaction: Connection, due: Sequence[Due]) -> list[Holding]:
    """Return the trusted certificates that `due` is about; grows with them, and not with all that is trusted."""
    if any(one.tenant_id is None for one in due):
        return _holdings(transaction)
    of, endpoints = certificate.c, defaultdict[int, set[str | None]](set)
    for one in due:
        endpoints[one.tenant_id or 0].add(one.endpoint)
    found: list[Holding] = []
    for tenant_id, asked in endpoints.items():
        some = [] if None in asked else [of.endpoint.in_(asked)]
        found += _holdings(transaction, of.tenant_id == tenant_id, *some)
    return found


def _holdings(transaction: Connection, *conditions: ColumnElement[bool]) -> list[Holding]:
    names = [certificate.c[name] for name in Holding.__dataclass_fields__]
    return [Holding(*row) for row in transaction.execute(select(*names).where(*conditions))]
