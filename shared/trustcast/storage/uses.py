"""Who calls what a certificate is for: which APIs a certificate serves, and which it alone serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select, union

from trustcast.domain.environment import EnvironmentType
from trustcast.domain.published_api import Role
from trustcast.storage import routing
from trustcast.storage.tables import api, api_endpoint, certificate, certificate_name, environment

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import CompoundSelect, Connection


@dataclass(frozen=True, slots=True)
class Use:
    """One endpoint of one API: `id` is the API's, `endpoint` in normal form, `role` production or sandbox."""

    id: str
    name: str
    version: str
    context: str
    provider: str
    endpoint: str
    role: str


_API = (api.c.id, api.c.name, api.c.version, api.c.context, api.c.provider)


def users(transaction: Connection, tenant_id: int, alias_key: str) -> list[Use]:
    """Return what the tenant's certificate serves, by name and version of the API; nothing for an unknown alias.

    A certificate serves the endpoint that it was uploaded for. One of a server serves in addition, at any port, every
    host among its names (`certificate_name`, which holds none for a CA).
    """
    of = api_endpoint.c
    rows = transaction.execute(
        select(*_API, of.endpoint, of.role)
        .join_from(api_endpoint, api, api.c.id == of.api)
        .where(of.tenant_id == tenant_id, of.endpoint.in_(_served(tenant_id, alias_key)))
        .distinct()
        .order_by(api.c.name, api.c.version, api.c.id, of.role, of.endpoint)
    )
    return [Use(*row) for row in rows]


def uncovered(
    transaction: Connection, tenant_id: int, alias_key: str, *, gone: Collection[str] = frozenset()
) -> list[Use]:
    """Return the uses that end with this certificate.

    Those are the uses that no other certificate of the tenant serves in some environment where this one is and the
    endpoint's role needs one; the certificates in `gone` (alias keys) do not count as others. Where no environment
    is of the role's type, any other certificate will do.
    """
    found = users(transaction, tenant_id, alias_key)
    if not found:
        return []
    own = _endpoint(transaction, tenant_id, alias_key)
    beside = _beside(transaction, tenant_id, alias_key, {alias_key, *gone})
    reach = routing.environments_of(transaction, tenant_id, {own}.union(*beside.values()))
    needed = _environments_by_role(transaction)

    def ends(one: Use) -> bool:
        others = [reach[endpoint] for endpoint in beside.get(one.endpoint, ())]
        lost = (needed[Role(one.role)] & reach[own]).difference(*others)
        return bool(lost) if needed[Role(one.role)] else not others

    return [one for one in found if ends(one)]


def _environments_by_role(transaction: Connection) -> dict[Role, set[str]]:
    rows = transaction.execute(select(environment.c.name, environment.c.type)).all()
    return {role: {row.name for row in rows if role in EnvironmentType(row.type).roles} for role in Role}


def _endpoint(transaction: Connection, tenant_id: int, alias_key: str) -> str:
    of = certificate.c
    wanted = of.tenant_id == tenant_id, of.alias_key == alias_key
    endpoint: str = transaction.execute(select(of.endpoint).where(*wanted)).scalar_one()
    return endpoint


def _served(tenant_id: int, alias_key: str) -> CompoundSelect[Any]:
    """Select the endpoints, in normal form, that a certificate serves. Each branch has an index of its own."""
    of, name = api_endpoint.c, certificate_name.c
    own = certificate.c.tenant_id == tenant_id, certificate.c.alias_key == alias_key
    called = select(of.endpoint).where(
        of.tenant_id == tenant_id, name.tenant_id == tenant_id, name.alias_key == alias_key
    )
    return union(
        select(certificate.c.endpoint).where(*own),
        called.where(of.host == name.name),
        called.where(name.name.startswith("*."), of.parent == func.substr(name.name, 3)),
    )


def _beside(transaction: Connection, tenant_id: int, alias_key: str, without: set[str]) -> dict[str, set[str]]:
    """Return, for each endpoint that the certificate serves, the endpoints of the others that serve it too."""
    of, name, other = api_endpoint.c, certificate_name.c, certificate.c
    mine = (
        select(of.endpoint, of.host, of.parent)
        .where(of.tenant_id == tenant_id, of.endpoint.in_(_served(tenant_id, alias_key)))
        .distinct()
        .cte()
    )
    theirs = select(mine.c.endpoint, other.endpoint).where(
        other.tenant_id == tenant_id, other.alias_key.not_in(without)
    )
    by_name = theirs.where(name.tenant_id == tenant_id, name.alias_key == other.alias_key)
    pairs = union(
        theirs.where(other.endpoint == mine.c.endpoint),
        by_name.where(name.name == mine.c.host),
        by_name.where(name.name == literal("*.") + mine.c.parent),
    )
    found: dict[str, set[str]] = {}
    for endpoint, at in transaction.execute(pairs):
        found.setdefault(endpoint, set()).add(at)
    return found
