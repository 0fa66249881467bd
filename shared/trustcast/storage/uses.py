"""Who calls what a certificate is for: which APIs a certificate serves, and which it alone serves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, union

from trustcast.domain.endpoint import Endpoint
from trustcast.domain.published_api import SUPPORTED_TYPES
from trustcast.storage.tables import api, api_endpoint, certificate, certificate_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import CompoundSelect, Connection

    from trustcast.domain.certificate import Certificate


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


_CHUNK = 500
_API = (api.c.id, api.c.name, api.c.version, api.c.context, api.c.provider)


def users(transaction: Connection, tenant_id: int, alias_key: str) -> list[Use]:
    """Return what the tenant's certificate serves, by name and version of the API; nothing for an unknown alias.

    A certificate serves the endpoint that it was uploaded for. One of a server serves in addition, at any port, every
    host among its names (`certificate_name`, which holds none for a CA). It serves no API of a type that takes none.
    """
    of = api_endpoint.c
    rows = transaction.execute(
        select(*_API, of.endpoint, of.role)
        .join_from(api_endpoint, api, api.c.id == of.api)
        .where(of.tenant_id == tenant_id, api.c.type.in_(SUPPORTED_TYPES))
        .where(of.endpoint.in_(_served(tenant_id, alias_key)))
        .distinct()
        .order_by(api.c.name, api.c.version, api.c.id, of.role, of.endpoint)
    )
    return [Use(*row) for row in rows]


def uncovered(
    transaction: Connection,
    tenant_id: int,
    alias_key: str,
    *,
    successor: Certificate | None = None,
    found: Sequence[Use] | None = None,
) -> list[Use]:
    """Return the uses that end when this certificate goes, or when `successor` takes its place.

    `found` is what `users` returns for it, for whoever has it already.

    Those are the uses that neither the successor nor another certificate of the tenant serves: what serves an endpoint
    goes wherever its role needs it (see `routing`). The next one of a rotation, which may be called off, is no other.
    """
    found = users(transaction, tenant_id, alias_key) if found is None else found
    if not found:
        return []
    own = _endpoint(transaction, tenant_id, alias_key)
    if own is None:  # it went between the two looks
        return []
    if successor is not None:
        kept = _served_at(own, successor, {one.endpoint for one in found})
        found = [one for one in found if one.endpoint not in kept]
    covered = _covered(transaction, tenant_id, {one.endpoint for one in found}, without=alias_key)
    return [one for one in found if one.endpoint not in covered]


def _endpoint(transaction: Connection, tenant_id: int, alias_key: str) -> str | None:
    of = certificate.c
    wanted = of.tenant_id == tenant_id, of.alias_key == alias_key
    endpoint: str | None = transaction.execute(select(of.endpoint).where(*wanted)).scalar_one_or_none()
    return endpoint


def _served_at(own: str, certificate: Certificate, endpoints: Iterable[str]) -> set[str]:
    """Return which of `endpoints` a certificate for the endpoint `own` serves; what `_served` says of a stored one."""
    named = names_of(endpoints)
    return {own}.union(*(named.get(name, ()) for name in certificate.server_names))


def _served(tenant_id: int, alias_key: str) -> CompoundSelect[Any]:
    """Select the endpoints, in normal form, that a certificate serves. Each branch has an index of its own."""
    called, name = api_endpoint.alias(), certificate_name.c
    own = certificate.c.tenant_id == tenant_id, certificate.c.alias_key == alias_key
    by_name = select(called.c.endpoint).where(
        called.c.tenant_id == tenant_id, name.tenant_id == tenant_id, name.alias_key == alias_key
    )
    return union(
        select(certificate.c.endpoint).where(*own),
        by_name.where(called.c.host == name.name),
        by_name.where(name.name.startswith("*."), called.c.parent == func.substr(name.name, 3)),
    )


def _covered(transaction: Connection, tenant_id: int, endpoints: set[str], *, without: str) -> set[str]:
    """Return which of `endpoints` other certificates serve than the one under `without`."""
    other, name = certificate.c, certificate_name.c
    ours = other.tenant_id == tenant_id, other.alias_key != without, other.rotates.is_(None)
    found: set[str] = set()
    for some in chunks(endpoints):
        found.update(transaction.execute(select(other.endpoint).where(*ours, other.endpoint.in_(some))).scalars())
    named = names_of(endpoints)
    holders = select(name.name).where(*ours, name.tenant_id == tenant_id, name.alias_key == other.alias_key)
    for some in chunks(named):
        found.update(
            *(named[one] for one in transaction.execute(holders.where(name.name.in_(some)).distinct()).scalars())
        )
    return found


def names_of(endpoints: Iterable[str]) -> dict[str, list[str]]:
    """Return the endpoints by the names that a certificate may have for them: the host, and a wildcard."""
    named: dict[str, list[str]] = defaultdict(list)
    for text in endpoints:
        endpoint = Endpoint.of_url(text)
        named[endpoint.host].append(text)
        if endpoint.parent is not None:
            named[f"*.{endpoint.parent}"].append(text)
    return named


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Return `values` in lists that fit into one statement; databases bound its parameters."""
    ordered = sorted(values)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))
