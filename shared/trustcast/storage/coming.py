"""Certificates that are on their way: accepted, and not trusted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509
from sqlalchemy import select

from trustcast.storage.certificates import TrustedCertificate
from trustcast.storage.operations import Kind, on_its_way
from trustcast.storage.tables import certificate_blob, operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

_PLAIN = ("tenant_id", "alias", "endpoint", "fingerprint_sha256", "warnings")


def certificates(
    transaction: Connection, tenant_id: int, conditions: Sequence[ColumnElement[bool]]
) -> list[TrustedCertificate]:
    """Return what will be trusted once a tenant's requests that match have been applied, in the order of acceptance."""
    of = operation.c
    rows = transaction.execute(
        select(*(of[name] for name in _PLAIN), of.id, of.kind, of.rotation, certificate_blob.c.der)
        .join_from(operation, certificate_blob)
        .where(on_its_way(tenant_id), *conditions, of.kind.in_([Kind.ADD, Kind.REPLACE]))
        .order_by(of.sequence)
    )
    return [_as_trusted(row) for row in rows]


def _as_trusted(row: Any) -> TrustedCertificate:
    validity = x509.load_der_x509_certificate(row.der)
    return TrustedCertificate(
        **{name: getattr(row, name) for name in _PLAIN},
        certificate=row.der,
        not_before=validity.not_valid_before_utc,
        not_after=validity.not_valid_after_utc,
        operation=row.id,
        rotates=row.rotation if row.kind == Kind.ADD else None,
    )
