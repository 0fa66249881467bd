"""Create or edit a tenant. Its id is part of its aliases on the gateways, so no alias may be in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trustcast.domain.errors import Conflict, Rejected
from trustcast.domain.policy import USUAL, Policy
from trustcast.storage import audit, tenants, truststores
from trustcast.storage.tables import SUPER_TENANT
from trustcast.storage.tenants import OnExpiry, Tenant
from trustcast_api.once import Answer, once, use_of
from trustcast_api.schemas_of_environments import TenantBody

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal

IDS = range(1, 2**31)


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """The settings that change, as JSON; None in one of them brings `usual`, the installation's, back."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    usual: Policy = USUAL

    def of(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a tenant keeps then: whatever was set for it, also where `usual` is the same at the moment.

        Else a limit that was set would go when the installation's is raised. What only a newer version knows stays.
        """
        return {name: value for name, value in {**old, **self.settings}.items() if value is not None}


def change_tenant(
    database: Database,
    id: int,  # noqa: A002 - the field's name
    *,
    domain: str,
    on_expiry: OnExpiry | None,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
    policy: PolicyChange = PolicyChange(),
) -> Answer:
    """Return 201 for a new tenant and 200 for one that is edited; what was so before changes nothing.

    An `on_expiry` of None is the one that there is, for a new tenant `keep`. Raises `Rejected("tenant_id_invalid")`,
    `Conflict` (`tenant_domain_taken`, `tenant_domain_fixed`, `tenant_id_taken_by_alias`), `KeyReusedError`,
    `Unavailable`.
    """
    if id not in IDS and id != SUPER_TENANT:
        raise Rejected("tenant_id_invalid", "A tenant's id is a number from 1 to 2147483647.", field="id")
    asked = use_of(who, idempotency_key, "change_tenant", id, domain, on_expiry, policy.settings)

    def work(transaction: Connection) -> Answer:
        # Nobody takes an alias while it is decided whether one is in the way.
        truststores.hold_all(transaction)
        old = tenants.by_id(transaction, id)
        expiry = on_expiry or (old.on_expiry if old else OnExpiry.KEEP)
        new = Tenant(id, domain, expiry, policy.of(old.policy if old else {}))
        _refuse_what_collides(transaction, old, new)
        if old is None:
            tenants.add(transaction, new)
        elif old != new:
            tenants.change(transaction, new)
        if old != new:
            audit.append(transaction, [_audited(old, new, who, policy.usual)], at=at)
        body = TenantBody.of(new, policy.usual).model_dump(mode="json")
        return Answer(201 if old is None else 200, body)

    return once(database, asked, work, at=at)


def _refuse_what_collides(transaction: Connection, old: Tenant | None, new: Tenant) -> None:
    if new.id == SUPER_TENANT and old is not None and old.domain != new.domain:
        raise Conflict("tenant_domain_fixed", "The super tenant keeps its domain.", field="domain")
    holder = tenants.by_domain(transaction, new.domain)
    if holder is not None and holder.id != new.id:
        raise Conflict("tenant_domain_taken", "Another tenant has this domain; choose another.", field="domain")
    if old is None and tenants.taken_by_alias(transaction, new.id):
        raise Conflict(
            "tenant_id_taken_by_alias",
            f"The super tenant has an alias that ends in _{new.id}, as this tenant's aliases would on the gateways; "
            "choose another id, or rename that alias.",
            field="id",
        )


def _audited(old: Tenant | None, new: Tenant, who: Principal, usual: Policy) -> audit.AuditEvent:
    facts = {
        "tenant": new.id,
        "actor_tenant": who.tenant_id,
        "before": _facts(old, usual) if old else None,
        "after": _facts(new, usual),
    }
    return audit.AuditEvent("tenant.changed" if old else "tenant.created", who.acting_on(new.id), facts)


def _facts(one: Tenant, usual: Policy) -> dict[str, Any]:
    policy = usual.with_settings(one.policy).settings()
    return {"domain": one.domain, "on_expiry": one.on_expiry, "policy": policy}
