"""Certificates that are on their way: accepted, and not trusted yet."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from cryptography import x509
from sqlalchemy import select

from trustcast.domain.operation import Kind
from trustcast.storage import certificates as trusted
from trustcast.storage import operations, unended
from trustcast.storage.certificates import TrustedCertificate
from trustcast.storage.tables import certificate_blob, operation
from trustcast.storage.unended import on_its_way

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from trustcast.storage.operations import Operation

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


def colliding(transaction: Connection, tenant_id: int, asked: Iterable[Operation], *, due: datetime) -> list[Operation]:
    """Return what is on its way for a tenant and could decide about `asked`, in the order of acceptance.

    That is what shares an alias, an endpoint or a certificate with one of them, or with what does; also by way of what
    is trusted: a delete frees an endpoint that it does not name. What is not to be applied until `due` decides about
    nothing.
    """
    of = operation.c
    needed = of.sequence, of.alias_key, of.rotation, of.endpoint, of.fingerprint_sha256
    ripe = on_its_way(tenant_id), unended.is_due(due)
    rest = transaction.execute(select(*needed).where(*ripe)).all()
    touched, found = set[_Touched](), list[int]()
    more = {each for one in asked for each in _touched(one)}
    while rest and (more := more - touched):
        more |= _held(transaction, tenant_id, more)
        touched |= more
        new = [row for row in rest if not touched.isdisjoint(_touched(row))]
        rest = [row for row in rest if touched.isdisjoint(_touched(row))]
        found += [row.sequence for row in new]
        more = {each for row in new for each in _touched(row)}
    return operations.in_order(transaction, sorted(found))


_Touched = tuple[str, str]


def _touched(one: Any) -> Iterator[_Touched]:
    yield "alias", one.alias_key
    for what, value in (("alias", one.rotation), ("at", one.endpoint), ("certificate", one.fingerprint_sha256)):
        if value is not None:
            yield what, value


def _held(transaction: Connection, tenant_id: int, touched: Iterable[_Touched]) -> set[_Touched]:
    """Return the aliases under which something trusted has these endpoints and certificates."""
    by = defaultdict[str, set[str]](set)
    for what, value in touched:
        by[what].add(value)
    held = trusted.holdings(
        transaction, tenants=[tenant_id], alias_keys=(), endpoints=by["at"], fingerprints=by["certificate"]
    )
    return {("alias", one.alias_key) for one in held}


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
