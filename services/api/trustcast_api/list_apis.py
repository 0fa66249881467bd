"""Look at the registered APIs: filters and paging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.domain import endpoint as endpoints
from trustcast.domain.published_api import normal_type
from trustcast.storage import apis
from trustcast.storage.tables import api

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from trustcast.storage.apis import RegisteredApi
    from trustcast.storage.session import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means anything.

    `name` is looked for within names, in any case. `endpoint` is an https URL, a host or host:port; the host is
    compared, and the port where it gives one.
    """

    name: str | None = None
    version: str | None = None
    context: str | None = None
    provider: str | None = None
    type: str | None = None
    endpoint: str | None = None


def list_apis(
    database: Database, tenant_id: int, filters: Filters, *, limit: int, offset: int
) -> tuple[list[RegisteredApi], int]:
    """Return one page by name and version, and how many match in all. Raises `Rejected` for no endpoint."""
    conditions = [api.c.tenant_id == tenant_id, *_exact(filters)]
    if filters.name is not None:
        conditions.append(api.c.name.icontains(filters.name, autoescape=True))
    if filters.endpoint is not None:
        host, port = endpoints.sought(filters.endpoint)
        conditions.append(apis.calls(host=host, port=port))
    with database.reading() as transaction:
        return apis.page(transaction, conditions, limit=limit, offset=offset)


def _exact(filters: Filters) -> list[ColumnElement[bool]]:
    wanted = {name: getattr(filters, name) for name in ("version", "context", "provider")}
    wanted["type"] = None if filters.type is None else normal_type(filters.type)
    return [api.c[name] == value for name, value in wanted.items() if value is not None]
