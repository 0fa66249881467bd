"""Certificates: what is trusted now, in `AM_CERTIFICATE_METADATA`."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, union_all

from trustcast.domain.errors import NotFound
from trustcast.domain.register import Holding
from trustcast.storage.tables import certificate, certificate_name, operation
from trustcast.storage.uses import chunks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificate:
    """One row; `certificate` is DER. `endpoint` is in its normal form.

    `rotates` is the alias key of the one whose place it is to take. `server_names` are `Certificate.server_names` and
    `key_sha256` is its key's; they are written with the row and looked for, but not read back.
    """

    tenant_id: int
    alias: str
    endpoint: str
    certificate: bytes
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    operation: str
    rotates: str | None = None
    warnings: Sequence[Mapping[str, str]] = ()
    server_names: Collection[str] = ()
    key_sha256: str = ""

    @property
    def alias_key(self) -> str:
        """The alias as it is compared and as Java writes it."""
        return self.alias.lower()


_BOTH_OF_A_ROTATION = 2
_PLAIN = ["tenant_id", "alias", "endpoint", "fingerprint_sha256", "not_before", "not_after", "operation", "rotates"]
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


def server_names(transaction: Connection, tenant_id: int, alias_keys: Iterable[str]) -> dict[str, set[str]]:
    """Return alias key -> the names that its certificate was written with, for those that have any."""
    of, found = certificate_name.c, defaultdict[str, set[str]](set)
    for some in chunks(alias_keys):
        ours = of.tenant_id == tenant_id, of.alias_key.in_(some)
        for alias_key, name in transaction.execute(select(of.alias_key, of.name).where(*ours)):
            found[alias_key].add(name)
    return found


def known_keys(transaction: Connection, tenant_id: int, keys: Iterable[str]) -> set[str]:
    """Return those of `keys` (`TrustedCertificate.key_sha256`) that some certificate of a tenant has."""
    of, found = certificate.c, set[str]()
    for some in chunks(set(keys)):
        ours = of.tenant_id == tenant_id, of.key_sha256.in_(some)
        found.update(transaction.execute(select(of.key_sha256).where(*ours)).scalars())
    return found


def reused_keys(transaction: Connection, tenant_id: int, keys: Iterable[str]) -> set[str]:
    """Return those of `keys` (`TrustedCertificate.key_sha256`) that several certificates of a tenant have.

    The two of a rotation are one and its renewal, which may well have the same key: they alone do not count.
    """
    found = set[str]()
    for some in chunks(keys):
        rows = transaction.execute(_HOLDERS_OF_KEYS, {"tenant": tenant_id, "some": some})
        for key, count, one, other, rotates in rows:
            if count > _BOTH_OF_A_ROTATION or rotates not in (one, other):
                found.add(key)
    return found


_OF = certificate.c
_HOLDERS_OF_KEYS = (
    select(_OF.key_sha256, func.count(), func.min(_OF.alias_key), func.max(_OF.alias_key), func.max(_OF.rotates))
    .where(_OF.tenant_id == bindparam("tenant"), _OF.key_sha256.in_(bindparam("some", expanding=True)))
    .group_by(_OF.key_sha256)
    .having(func.count() > 1)
)


def authorities(transaction: Connection, tenant_id: int) -> list[bytes]:
    """Return, in DER, what a tenant trusts and what may have issued another: all but the certificates of servers."""
    names = (
        certificate_name.c.tenant_id == certificate.c.tenant_id,
        certificate_name.c.alias_key == certificate.c.alias_key,
    )
    rows = transaction.execute(
        select(certificate.c.certificate)
        .where(certificate.c.tenant_id == tenant_id, ~exists().where(*names))
        .order_by(certificate.c.alias_key)
    )
    return [base64.b64decode(text) for text in rows.scalars()]


def page(
    transaction: Connection,
    conditions: Sequence[ColumnElement[bool]],
    *,
    limit: int,
    offset: int,
    order: Sequence[ColumnElement[Any]] = (certificate.c.alias_key,),
) -> tuple[list[TrustedCertificate], int]:
    """Return one page in this order, and how many there are in all."""
    total = transaction.execute(select(func.count()).select_from(certificate).where(*conditions)).scalar_one()
    rows = transaction.execute(_READ.where(*conditions).order_by(*order).limit(limit).offset(offset))
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
    return [*dict.fromkeys(Holding(*row) for row in rows)]


def replace(transaction: Connection, gone: Iterable[tuple[int, str]], new: Sequence[TrustedCertificate]) -> None:
    """Remove the (tenant, alias key) pairs in `gone`, then insert `new`. What was announced of an expiry goes, too."""
    alias_keys = defaultdict[int, list[str]](list)
    for tenant_id, alias_key in gone:
        alias_keys[tenant_id].append(alias_key)
    for table in (certificate_name, certificate):
        for tenant_id, keys in alias_keys.items():
            transaction.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.alias_key.in_(keys)))
    if new:
        transaction.execute(insert(certificate), [_values(one) for one in new])
    if names := [row for one in new for row in _names(one)]:
        transaction.execute(insert(certificate_name), names)


def _names(one: TrustedCertificate) -> list[dict[str, Any]]:
    key = {"tenant_id": one.tenant_id, "alias_key": one.alias_key}
    return [key | {"name": name} for name in sorted(one.server_names)]


def _values(one: TrustedCertificate) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _PLAIN}
    values |= {"key_sha256": one.key_sha256}
    return values | {"alias_key": one.alias_key, "certificate": base64.b64encode(one.certificate)}


def _trusted(row: Any) -> TrustedCertificate:
    values = {name: getattr(row, name) for name in _PLAIN}
    return TrustedCertificate(**values, certificate=base64.b64decode(row.certificate), warnings=row.warnings)
