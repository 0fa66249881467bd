"""Which certificates come to their end. What was announced is marked, so that each threshold is announced once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import exists, or_, select, tuple_, union_all, update

from trustcast.domain.operation import PENDING
from trustcast.storage.tables import certificate, operation, tenant
from trustcast.storage.tenants import OnExpiry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

THRESHOLDS = (30, 14, 7, 1, 0)  # days before the end


@dataclass(frozen=True, slots=True)
class Ending:
    """A trusted certificate that ends, or has ended, at `not_after`."""

    tenant_id: int
    alias_key: str
    alias: str
    endpoint: str
    fingerprint_sha256: str
    not_after: datetime


_COLUMNS = [certificate.c[name] for name in Ending.__dataclass_fields__]


def threshold(not_after: datetime, *, at: datetime) -> int | None:
    """Return the smallest threshold that is reached at `at`, None before the first. 0 is reached after the end."""
    reached = [days for days in THRESHOLDS if not_after < at + timedelta(days=days)]
    return min(reached, default=None)


def due(transaction: Connection, *, at: datetime, limit: int) -> list[Ending]:
    """Return certificates that reached a threshold which was not announced yet.

    One range of an index for each threshold that may have been announced last: nothing is read that is not due.
    """
    of = certificate.c
    ranges = [of.expiry_announced.is_(None) & (of.not_after < at + timedelta(days=THRESHOLDS[0]))]
    ranges += [
        (of.expiry_announced == last) & (of.not_after < at + timedelta(days=following))
        for last, following in itertools.pairwise(THRESHOLDS)
    ]
    found = union_all(*(select(*_COLUMNS).where(condition) for condition in ranges)).limit(limit)
    return [Ending(*row) for row in transaction.execute(found)]


def mark(transaction: Connection, endings: Sequence[Ending], days: int) -> list[Ending]:
    """Mark certificates as announced at the threshold `days`; return those for which nobody else had done so.

    One that was replaced since it was read is none of them.
    """
    of = certificate.c
    keys = [(one.tenant_id, one.alias_key, one.fingerprint_sha256) for one in endings]
    rows = transaction.execute(
        update(certificate)
        .where(tuple_(of.tenant_id, of.alias_key, of.fingerprint_sha256).in_(keys))
        .where(or_(of.expiry_announced.is_(None), of.expiry_announced > days))
        .values(expiry_announced=days)
        .returning(*_COLUMNS)
    )
    return [Ending(*row) for row in rows]


def to_remove(transaction: Connection, *, at: datetime, limit: int) -> list[Ending]:
    """Return the expired certificates of tenants that do not keep them, unless a request for the alias is on its way.

    One that is being rotated is left: its successor takes its place.
    """
    of, beside = certificate.c, certificate.alias()
    awaited = exists().where(
        operation.c.tenant_id == of.tenant_id,
        or_(operation.c.alias_key == of.alias_key, operation.c.rotation == of.alias_key),
        operation.c.state.in_(PENDING),
    )
    rotated = exists().where(beside.c.tenant_id == of.tenant_id, beside.c.rotates == of.alias_key)
    rows = transaction.execute(
        select(*_COLUMNS)
        .join_from(certificate, tenant, tenant.c.id == of.tenant_id)
        .where(tenant.c.on_expiry == OnExpiry.REMOVE, of.not_after < at, ~awaited, ~rotated)
        .limit(limit)
    )
    return [Ending(*row) for row in rows]
