"""Published APIs and the URLs that they call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, insert, select, update

from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import NotFound
from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi, Role
from trustcast.storage.tables import api, api_endpoint
from trustcast.storage.uses import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredApi:
    """An API of a tenant; `id` is a UUID."""

    id: str
    tenant_id: int
    api: PublishedApi
    created_at: datetime
    updated_at: datetime


_TOLD = ("name", "version", "context", "provider", "type")


def get(transaction: Connection, tenant_id: int, id: str) -> RegisteredApi:  # noqa: A002 - the field's name
    """Return one API of a tenant. Raises `NotFound("api_not_found")`."""
    found = _listed(transaction, [api.c.tenant_id == tenant_id, api.c.id == id], limit=1, offset=0)
    if not found:
        raise NotFound("api_not_found", "There is no API with this id; GET /v1/apis lists those there are.")
    return found[0]


def hold(transaction: Connection, tenant_id: int, id: str) -> RegisteredApi:  # noqa: A002
    """Return one API that nobody else changes until this transaction ends. Raises `NotFound("api_not_found")`."""
    transaction.execute(update(api).where(api.c.tenant_id == tenant_id, api.c.id == id).values(name=api.c.name))
    return get(transaction, tenant_id, id)


def page(
    transaction: Connection, conditions: Sequence[ColumnElement[bool]], *, limit: int, offset: int
) -> tuple[list[RegisteredApi], int]:
    """Return one page by name and version, and how many there are in all. One condition names the tenant."""
    total = transaction.execute(select(func.count()).select_from(api).where(*conditions)).scalar_one()
    return _listed(transaction, conditions, limit=limit, offset=offset), total


def calls(*, host: str, port: int | None) -> ColumnElement[bool]:
    """Return the condition that an API calls this host over https, at this port where one is given."""
    of = api_endpoint.c
    wanted = of.host == host if port is None else of.endpoint == str(Endpoint("https", host, port))
    return exists().where(of.api == api.c.id, of.tenant_id == api.c.tenant_id, wanted)


def named(transaction: Connection, tenant_id: int, *, name: str, version: str) -> str | None:
    """Return the id of the tenant's API with this name and version, None if there is none."""
    of = api.c
    wanted = of.tenant_id == tenant_id, of.name == name, of.version == version
    found: str | None = transaction.execute(select(of.id).where(*wanted)).scalar_one_or_none()
    return found


@dataclass(frozen=True, slots=True)
class Caller:
    """An API that calls an endpoint."""

    name: str
    version: str
    type: str


def callers(transaction: Connection, tenant_id: int, endpoint: str) -> list[Caller]:
    """Return the tenant's APIs that call `endpoint` (normal form), by name and version."""
    return callers_of(transaction, tenant_id, [endpoint]).get(endpoint, [])


def callers_of(transaction: Connection, tenant_id: int, endpoints: Iterable[str]) -> dict[str, list[Caller]]:
    """Return the same of each of `endpoints` that any API calls."""
    of, found = api_endpoint.c, dict[str, list[Caller]]()
    for some in chunks(set(endpoints)):
        rows = transaction.execute(
            select(of.endpoint, api.c.name, api.c.version, api.c.type)
            .join_from(api_endpoint, api, api.c.id == of.api)
            .where(of.tenant_id == tenant_id, of.endpoint.in_(some))
            .distinct()
            .order_by(api.c.name, api.c.version)
        )
        for endpoint, *caller in rows:
            found.setdefault(endpoint, []).append(Caller(*caller))
    return found


def add(transaction: Connection, new: RegisteredApi) -> None:
    """Write a new API down."""
    values = {"id": new.id, "tenant_id": new.tenant_id, "created_at": new.created_at, **_values(new)}
    transaction.execute(insert(api).values(**values))
    _add_endpoints(transaction, new)


def change(transaction: Connection, new: RegisteredApi) -> None:
    """Give the API with this id the other values and endpoints."""
    transaction.execute(update(api).where(api.c.id == new.id).values(**_values(new)))
    transaction.execute(delete(api_endpoint).where(api_endpoint.c.api == new.id))
    _add_endpoints(transaction, new)


def remove(transaction: Connection, id: str) -> None:  # noqa: A002
    """Forget an API."""
    transaction.execute(delete(api_endpoint).where(api_endpoint.c.api == id))
    transaction.execute(delete(api).where(api.c.id == id))


def _values(one: RegisteredApi) -> dict[str, Any]:
    kinds = {f"{role}_kind": one.api.backends()[role].kind if role in one.api.backends() else None for role in Role}
    return {name: getattr(one.api, name) for name in _TOLD} | kinds | {"updated_at": one.updated_at}


def _add_endpoints(transaction: Connection, one: RegisteredApi) -> None:
    rows = [
        {
            "api": one.id,
            "role": call.role,
            "position": call.position,
            "tenant_id": one.tenant_id,
            "url": call.url,
            "endpoint": str(call.endpoint) if call.endpoint else None,
            "host": call.endpoint.host if call.endpoint else None,
            "parent": call.endpoint.parent if call.endpoint else None,
        }
        for call in one.api.calls()
    ]
    if rows:
        transaction.execute(insert(api_endpoint), rows)


def _listed(
    transaction: Connection, conditions: Iterable[ColumnElement[bool]], *, limit: int, offset: int
) -> list[RegisteredApi]:
    of = api_endpoint.c
    ours = select(api).where(*conditions).order_by(api.c.name, api.c.version, api.c.id)
    rows = transaction.execute(ours.limit(limit).offset(offset)).all()
    urls: dict[tuple[str, str], list[str]] = {}
    wanted = of.api.in_([row.id for row in rows])
    for one in transaction.execute(select(of.api, of.role, of.url).where(wanted).order_by(of.position)):
        urls.setdefault((one.api, one.role), []).append(one.url)
    return [_registered(row, urls) for row in rows]


def _registered(row: Any, urls: dict[tuple[str, str], list[str]]) -> RegisteredApi:
    def backends(role: Role, kind: str | None) -> Backends | None:
        return None if kind is None else Backends(EndpointKind(kind), tuple(urls[row.id, role]))

    return RegisteredApi(
        id=row.id,
        tenant_id=row.tenant_id,
        api=PublishedApi(
            **{name: getattr(row, name) for name in _TOLD},
            production=backends(Role.PRODUCTION, row.production_kind),
            sandbox=backends(Role.SANDBOX, row.sandbox_kind),
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
