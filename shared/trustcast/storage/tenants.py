"""Tenants: who owns APIs and certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, insert, or_, select, update

from trustcast.domain.errors import NotFound
from trustcast.domain.operation import Kind, State
from trustcast.storage.tables import SUPER_TENANT, certificate, operation, tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

    from trustcast.domain.policy import Policy

UNKNOWN_DOMAIN = (
    "There is no tenant of this domain; GET /v1/tenants lists those there are, PUT /v1/tenants/{id} makes one."
)


class OnExpiry(StrEnum):
    """What becomes of a certificate at its end: it stays (a JVM does not check), or it is deleted."""

    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Tenant:
    """`id` is -1234 for the super tenant and positive for others; `domain` is lower-case and unique.

    `policy` is what was set for it and is the installation's no more, as `Policy.with_settings` reads it.
    """

    id: int
    domain: str
    on_expiry: OnExpiry
    policy: Mapping[str, Any] = field(default_factory=dict, hash=False)


_COLUMNS = [tenant.c[name] for name in Tenant.__dataclass_fields__]


def get(transaction: Connection, id: int) -> Tenant:  # noqa: A002 - the field's name
    """Return one tenant. Raises `NotFound("tenant_not_found")`."""
    found = by_id(transaction, id)
    if found is None:
        raise NotFound("tenant_not_found", "There is no tenant with this id; GET /v1/tenants lists those there are.")
    return found


def by_id(transaction: Connection, id: int) -> Tenant | None:  # noqa: A002
    """Return the tenant with this id, None if there is none."""
    return _one(transaction, tenant.c.id == id)


def by_domain(transaction: Connection, domain: str) -> Tenant | None:
    """Return the tenant with this domain, whose case does not count; None if there is none."""
    return _one(transaction, tenant.c.domain == domain.lower())


def ids(transaction: Connection) -> frozenset[int]:
    """Return every tenant's id."""
    return frozenset(transaction.execute(select(tenant.c.id)).scalars())


def page(transaction: Connection, *, limit: int, offset: int) -> tuple[list[Tenant], int]:
    """Return one page by domain, and how many there are in all."""
    total = transaction.execute(select(func.count()).select_from(tenant)).scalar_one()
    rows = transaction.execute(select(*_COLUMNS).order_by(tenant.c.domain).limit(limit).offset(offset))
    return [_tenant(row) for row in rows], total


def add(transaction: Connection, new: Tenant) -> None:
    """Write a new tenant down."""
    transaction.execute(insert(tenant).values(**asdict(new) | {"policy": _kept(new)}))


def change(transaction: Connection, new: Tenant) -> None:
    """Give the tenant with this id the other values."""
    values = {"domain": new.domain, "on_expiry": new.on_expiry, "policy": _kept(new)}
    transaction.execute(update(tenant).where(tenant.c.id == new.id).values(values))


def policies(transaction: Connection, tenant_ids: Iterable[int], default: Policy) -> dict[int, Policy]:
    """Return each of these tenants' policy; `default`, the installation's, is that of those who have none."""
    asked = set(tenant_ids)
    query = select(tenant.c.id, tenant.c.policy).where(tenant.c.id.in_(asked), tenant.c.policy.is_not(None))
    own = {row.id: default.with_settings(row.policy) for row in transaction.execute(query)}
    return dict.fromkeys(asked, default) | own


def taken_by_alias(transaction: Connection, id: int) -> bool:  # noqa: A002
    """Tell whether the super tenant holds, or awaits, an alias that could be this tenant's on the gateways.

    On gateways another tenant's alias ends in `_id`. Whoever asks holds the truststores (`truststores.hold_all`), or
    the answer is old before it is given.
    """
    held = exists().where(certificate.c.tenant_id == SUPER_TENANT, _ends(certificate.c.alias_key, id))
    awaited = exists().where(
        operation.c.tenant_id == SUPER_TENANT,
        operation.c.state.in_([State.RECEIVED, State.VALIDATED]),
        operation.c.kind == Kind.ADD,
        _ends(operation.c.alias_key, id),
    )
    return bool(transaction.execute(select(or_(held, awaited))).scalar_one())


def _ends(alias_key: ColumnElement[str], id: int) -> ColumnElement[bool]:  # noqa: A002
    return alias_key.endswith(f"_{id}", autoescape=True)


def _one(transaction: Connection, condition: ColumnElement[bool]) -> Tenant | None:
    row = transaction.execute(select(*_COLUMNS).where(condition)).one_or_none()
    return None if row is None else _tenant(row)


def _tenant(row: Any) -> Tenant:
    return Tenant(row.id, row.domain, OnExpiry(row.on_expiry), row.policy or {})


def _kept(one: Tenant) -> dict[str, Any] | None:
    return dict(one.policy) or None
