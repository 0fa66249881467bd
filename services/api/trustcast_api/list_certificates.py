"""Look at what is trusted: filters, paging, status by the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from trustcast.domain.endpoint import Endpoint
from trustcast.storage import certificates
from trustcast.storage.tables import certificate

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.session import Database

EXPIRING_WITHIN = timedelta(days=30)


class Status(StrEnum):
    """Where a certificate stands in its own validity."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; None means anything. `endpoint` is a URL of which host and port are compared."""

    alias: str | None = None
    endpoint: str | None = None
    status: Status | None = None
    expires_before: datetime | None = None


def status_of(not_before: datetime, not_after: datetime, *, at: datetime) -> Status:
    """Return the status of a certificate with this validity."""
    if not_after < at:
        return Status.EXPIRED
    if not_before > at:
        return Status.NOT_YET_VALID
    return Status.EXPIRING if not_after < at + EXPIRING_WITHIN else Status.ACTIVE


def list_certificates(
    database: Database, tenant_id: int, filters: Filters, *, limit: int, offset: int, at: datetime
) -> tuple[list[TrustedCertificate], int]:
    """Return one page by alias, and how many match in all. Raises `Rejected` for an endpoint that is none."""
    conditions = [certificate.c.tenant_id == tenant_id]
    if filters.alias is not None:
        conditions.append(certificate.c.alias_key == filters.alias.lower())
    if filters.endpoint is not None:
        conditions.append(certificate.c.endpoint == str(Endpoint.parse(filters.endpoint)))
    if filters.expires_before is not None:
        conditions.append(certificate.c.not_after < filters.expires_before)
    if filters.status is not None:
        conditions += _in_status(filters.status, at)
    with database.reading() as transaction:
        return certificates.page(transaction, conditions, limit=limit, offset=offset)


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
