"""Remove a registered API; its backends' certificates stay, and may move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.storage import apis, audit, routing
from trustcast_api.once import Answer, once, use_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


def remove_api(
    database: Database,
    id: str,  # noqa: A002 - the field's name
    *,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
) -> Answer:
    """Return 204. Raises `NotFound("api_not_found")`, `KeyReusedError`, `Unavailable`."""
    asked = use_of(who, idempotency_key, "remove_api", id)

    def work(transaction: Connection) -> Answer:
        old = apis.hold(transaction, who.tenant_id, id)
        apis.remove(transaction, id)
        routing.look_again(transaction, source="api", at=at, tenant_id=who.tenant_id, endpoints=old.api.endpoints())
        facts = {"api": id, **old.api.told()}
        audit.append(transaction, [audit.AuditEvent("api.removed", who.actor, facts)], at=at)
        return Answer(204)

    return once(database, asked, work, at=at)
