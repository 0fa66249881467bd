"""Certificates: what is trusted now, in `AM_CERTIFICATE_METADATA`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select, union_all

from trustcast.domain.errors import NotFound
from trustcast.domain.register import Holding
from trustcast.storage.tables import certificate, operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificate:
    """One row; `certificate` is DER. `endpoint` is in its normal form."""

    tenant_id: int
    alias: str
    endpoint: str
    certificate: bytes
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    operation: str
    warnings: Sequence[Mapping[str, str]] = ()

    @property
    def alias_key(self) -> str:
        """The alias as it is compared and as Java writes it."""
        return self.alias.lower()


_PLAIN = ["tenant_id", "alias", "endpoint", "fingerprint_sha256", "not_before", "not_after", "operation"]
_READ = select(*(certificate.c[name] for name in [*_PLAIN, "certificate"]), operation.c.warnings).join_from(
    certificate, operation, certificate.c.operation == operation.c.id
)


def get(transaction: Connection, tenant_id: int, alias_key: str) -> TrustedCertificate:
    """Return one certificate. Raises `NotFound("certificate_not_found")`."""
    row = transaction.execute(
        _READ.where(certificate.c.tenant_id == tenant_id, certificate.c.alias_key == alias_key)
    ).one_or_none()
    if row is None:
        raise NotFound(
            "certificate_not_found",
            "There is no certificate with this alias; GET /v1/certificates lists those there are.",
        )
    return _trusted(row)


def page(
    transaction: Connection, conditions: Sequence[ColumnElement[bool]], *, limit: int, offset: int
) -> tuple[list[TrustedCertificate], int]:
    """Return one page by alias, and how many there are in all."""
    total = transaction.execute(select(func.count()).select_from(certificate).where(*conditions)).scalar_one()
    rows = transaction.execute(_READ.where(*conditions).order_by(certificate.c.alias_key).limit(limit).offset(offset))
    return [_trusted(row) for row in rows], total


def holdings(
    transaction: Connection,
    *,
    tenants: Iterable[int],
    alias_keys: Iterable[str],
    endpoints: Iterable[str],
    fingerprints: Iterable[str],
) -> list[Holding]:
    """Return what could collide with requests of these tenants for these aliases, endpoints and certificates.

    No more is read: each of the three has an index that begins with the tenant. One condition with OR reads the table,
    and so does a UNION that looks for duplicates.
    """
    of = certificate.c
    names = [of[name] for name in Holding.__dataclass_fields__]
    wanted = ((of.alias_key, alias_keys), (of.endpoint, endpoints), (of.fingerprint_sha256, fingerprints))
    ours = select(*names).where(of.tenant_id.in_(set(tenants)))
    rows = transaction.execute(union_all(*(ours.where(column.in_(set(values))) for column, values in wanted)))
    return [*{Holding(*row) for row in rows}]


def replace(transaction: Connection, gone: Iterable[tuple[int, str]], new: Sequence[TrustedCertificate]) -> None:
    """Remove the (tenant, alias key) pairs in `gone`, then insert `new`."""
    keys = [and_(certificate.c.tenant_id == tenant, certificate.c.alias_key == key) for tenant, key in gone]
    if keys:
        transaction.execute(delete(certificate).where(or_(*keys)))
    if new:
        transaction.execute(insert(certificate), [_values(one) for one in new])


def _values(one: TrustedCertificate) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _PLAIN}
    return values | {"alias_key": one.alias_key, "certificate": base64.b64encode(one.certificate)}


def _trusted(row: Any) -> TrustedCertificate:
    values = {name: getattr(row, name) for name in _PLAIN}
    return TrustedCertificate(**values, certificate=base64.b64decode(row.certificate), warnings=row.warnings)
