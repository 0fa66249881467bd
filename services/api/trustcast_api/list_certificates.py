"""Look at what is trusted, or about to be: filters, order, paging, status by the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table

from trustcast.domain.endpoint import Endpoint, sought
from trustcast.storage import certificates, coming
from trustcast.storage.tables import certificate, operation

if TYPE_CHECKING:
    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.session import Database

EXPIRING_WITHIN = timedelta(days=30)


class Status(StrEnum):
    """Where a certificate stands in its own validity; pending: it is on its way and not trusted yet."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


class Sort(StrEnum):
    """What to sort by, `-` for descending; the alias decides where that is the same."""

    ALIAS = "alias"
    ALIAS_DOWN = "-alias"
    ENDPOINT = "endpoint"
    ENDPOINT_DOWN = "-endpoint"
    NOT_AFTER = "not_after"
    NOT_AFTER_DOWN = "-not_after"

    @property
    def column(self) -> str:
        """The column's name; aliases are compared without case."""
        return "alias_key" if self in (Sort.ALIAS, Sort.ALIAS_DOWN) else self.removeprefix("-")

    @property
    def descends(self) -> bool:
        """Whether the greatest comes first."""
        return self.startswith("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means anything.

    `endpoint` is a URL, a host or host:port; the host is compared, and the port where it gives one. `alias` and
    `alias_contains` are compared without case.
    """

    alias: str | None = None
    alias_contains: str | None = None
    endpoint: str | None = None
    status: Status | None = None
    expires_before: datetime | None = None


def status_of(not_before: datetime, not_after: datetime, *, at: datetime) -> Status:
    """Return the status of a trusted certificate with this validity."""
    if not_after < at:
        return Status.EXPIRED
    if not_before > at:
        return Status.NOT_YET_VALID
    return Status.EXPIRING if not_after < at + EXPIRING_WITHIN else Status.ACTIVE


def list_certificates(
    database: Database,
    tenant_id: int,
    filters: Filters,
    *,
    limit: int,
    offset: int,
    at: datetime,
    sort: Sort = Sort.ALIAS,
) -> tuple[list[TrustedCertificate], int]:
    """Return one page, and how many match in all. What is on its way is found by status `pending` alone.

    Raises `Rejected` for an endpoint that is none.
    """
    if filters.status is Status.PENDING:
        return _pending(database, tenant_id, filters, sort=sort, limit=limit, offset=offset)
    conditions = [certificate.c.tenant_id == tenant_id, *_conditions(certificate, filters)]
    if filters.expires_before is not None:
        conditions.append(certificate.c.not_after < filters.expires_before)
    if filters.status is not None:
        conditions += _in_status(filters.status, at)
    column = certificate.c[sort.column]
    order = [column.desc() if sort.descends else column.asc(), certificate.c.alias_key]
    with database.reading() as transaction:
        return certificates.page(transaction, conditions, order=order, limit=limit, offset=offset)


def _pending(
    database: Database, tenant_id: int, filters: Filters, *, sort: Sort, limit: int, offset: int
) -> tuple[list[TrustedCertificate], int]:
    """All of them are read for each page: when they end, only their bytes say; and they are few, or soon gone."""
    with database.reading() as transaction:
        found = coming.certificates(transaction, tenant_id, _conditions(operation, filters))
    if (before := filters.expires_before) is not None:
        found = [one for one in found if one.not_after < before]
    found.sort(key=lambda one: one.alias_key)
    found.sort(key=lambda one: getattr(one, sort.column), reverse=sort.descends)
    return found[offset : offset + limit], len(found)


def _conditions(table: Table, filters: Filters) -> list[ColumnElement[bool]]:
    of, conditions = table.c, list[ColumnElement[bool]]()
    if filters.alias is not None:
        conditions.append(of.alias_key == filters.alias.lower())
    if filters.alias_contains is not None:
        conditions.append(of.alias_key.contains(filters.alias_contains.lower(), autoescape=True))
    if filters.endpoint is not None:
        conditions.append(_at(of.endpoint, filters.endpoint))
    return conditions


def _at(endpoint: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """The normal form always names the port, so no host is taken for a longer one that begins like it."""
    host, port = sought(text)
    if port is not None:
        return endpoint == str(Endpoint("https", host, port))
    return endpoint.startswith(str(Endpoint("https", host, 0)).removesuffix("0"), autoescape=True)


def _in_status(status: Status, at: datetime) -> list[ColumnElement[bool]]:
    """Say in SQL what `status_of` says; a test holds the two together."""
    begins, ends = certificate.c.not_before, certificate.c.not_after
    soon = at + EXPIRING_WITHIN
    return {
        Status.EXPIRED: [ends < at],
        Status.NOT_YET_VALID: [ends >= at, begins > at],
        Status.EXPIRING: [ends >= at, begins <= at, ends < soon],
        Status.ACTIVE: [begins <= at, ends >= soon],
    }[status]
