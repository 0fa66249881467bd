"""Describe certificates as clients read them: what their bytes say, their status now, and where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.storage import certificates, chains, routing
from trustcast_api.list_certificates import Status
from trustcast_api.schemas_of_certificates import CertificateBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.session import Database


def describe(database: Database, tenant_id: int, alias: str, *, at: datetime) -> CertificateBody:
    """Return one trusted certificate as it stands at `at`. Raises `NotFound("certificate_not_found")`."""
    with database.reading() as transaction:
        one = certificates.get(transaction, tenant_id, aliases.key(alias))
        return _bodies(transaction, tenant_id, [one], at)[0]


def describe_page(
    database: Database, tenant_id: int, found: Sequence[TrustedCertificate], *, status: Status | None, at: datetime
) -> list[CertificateBody]:
    """Return a page of `list_certificates` that was asked for with `status`."""
    with database.reading() as transaction:
        return _bodies(transaction, tenant_id, found, None if status is Status.PENDING else at)


def _bodies(
    transaction: Connection, tenant_id: int, found: Sequence[TrustedCertificate], at: datetime | None
) -> list[CertificateBody]:
    reach = routing.environments_of(transaction, tenant_id, [(one.alias_key, one.endpoint) for one in found])
    kept = chains.of(transaction, [one.operation for one in found])
    return [
        CertificateBody.of(
            one, environments=reach[one.alias_key, one.endpoint], chain=kept.get(one.operation, ()), at=at
        )
        for one in found
    ]
