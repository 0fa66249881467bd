"""Which environments a certificate goes to, and whose have to be looked at again.

Who calls the backends that a certificate serves says it: what serves a production endpoint goes to production and
hybrid environments, what serves a sandbox endpoint to sandbox and hybrid, and what was uploaded for an endpoint of no
registered API to all. APIs of types that take no certificates say nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from trustcast.domain.messages import OperationValidated
from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract
from trustcast.domain.published_api import SUPPORTED_TYPES
from trustcast.domain.register import Holding
from trustcast.storage import certificates, outbox, uses
from trustcast.storage.tables import api, api_endpoint, certificate, certificate_name, environment, routing_due

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

NO_ENVIRONMENT = Warning(
    "no_environment",
    "No environment is of a type that takes this certificate; no gateway will trust it until there is one.",
)
_ROLES_OF = {"production": ("production",), "sandbox": ("sandbox",), "hybrid": ("production", "sandbox")}


Placed = tuple[str, str]
"""An alias key, and the endpoint (normal form) of the certificate that has it."""


def environments_of(
    transaction: Connection,
    tenant_id: int,
    placed: Iterable[Placed],
    *,
    names: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[Placed, set[str]]:
    """Return, for each certificate of a tenant, the names of the environments that it goes to.

    It goes to those of every API endpoint that it serves (see `uses.users`); but to all if its own is registered
    nowhere. Under an alias that is not trusted there are no names, so there the endpoint alone counts; unless `names`,
    by alias key, has those of what is not trusted yet.
    """
    wanted, of = set(placed), api_endpoint.c
    at = _roles(transaction, tenant_id, of.endpoint, {endpoint for _, endpoint in wanted})
    registered = {alias_key for alias_key, endpoint in wanted if endpoint in at}
    names = {**certificates.server_names(transaction, tenant_id, registered), **names}
    called = set[str]().union(*names.values())
    hosts = _roles(transaction, tenant_id, of.host, called)
    below = _roles(transaction, tenant_id, of.parent, {name[2:] for name in called if name.startswith("*.")})
    by_role = _environments_by_role(transaction)

    def roles(alias_key: str, endpoint: str) -> Iterable[str]:
        if endpoint not in at:
            return by_role
        own = names.get(alias_key, ())
        return at[endpoint].union(
            *(below.get(name[2:], ()) if name[:2] == "*." else hosts.get(name, ()) for name in own)
        )

    return {one: set().union(*(by_role[role] for role in roles(*one))) for one in wanted}


def _environments_by_role(transaction: Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"production": set(), "sandbox": set()}
    for row in transaction.execute(select(environment.c.type, environment.c.name)):
        for role in _ROLES_OF[row.type]:
            found[role].add(row.name)
    return found


def _roles(
    transaction: Connection, tenant_id: int, column: ColumnElement[Any], values: Iterable[str]
) -> dict[str, set[str]]:
    """Return, for those of `values` that stand in a column of the called endpoints, in which roles these are called."""
    of, found = api_endpoint.c, defaultdict[str, set[str]](set)
    called = select(column, of.role).join_from(api_endpoint, api, api.c.id == of.api).distinct()
    called = called.where(of.tenant_id == tenant_id, api.c.type.in_(SUPPORTED_TYPES))
    for some in uses.chunks(values):
        for value, role in transaction.execute(called.where(column.in_(some))):
            found[value].add(role)
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
    """Have the environments of a tenant's certificates that serve `endpoints` decided anew, and owe the wake-up for it.

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
    endpoints = defaultdict[int, set[str | None]](set)
    for one in due:
        endpoints[one.tenant_id or 0].add(one.endpoint)
    found: list[Holding] = []
    for tenant_id, asked in endpoints.items():
        some = {endpoint for endpoint in asked if endpoint is not None}
        if some != asked:
            found += _holdings(transaction, certificate.c.tenant_id == tenant_id)
        else:
            found += _serving(transaction, tenant_id, some)
    return found


def _serving(transaction: Connection, tenant_id: int, endpoints: Collection[str]) -> set[Holding]:
    of, name = certificate.c, certificate_name.c
    named = name.tenant_id == tenant_id, name.name.in_(uses.names_of(endpoints))
    by_name = of.alias_key.in_(select(name.alias_key).where(*named))
    return {
        one
        for serving in (of.endpoint.in_(endpoints), by_name)
        for one in _holdings(transaction, of.tenant_id == tenant_id, serving)
    }


def _holdings(transaction: Connection, *conditions: ColumnElement[bool]) -> list[Holding]:
    names = [certificate.c[name] for name in Holding.__dataclass_fields__]
    return [Holding(*row) for row in transaction.execute(select(*names).where(*conditions))]
