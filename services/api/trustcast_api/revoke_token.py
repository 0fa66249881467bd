"""Take a token back: whoever shows it from now on is nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.storage import audit, tokens

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast_api.principal import Principal


def revoke_token(transaction: Connection, id: str, *, who: Principal, at: datetime) -> None:  # noqa: A002
    """Revoke a token; one that was revoked stays so. Raises `NotFound("token_not_found")`."""
    token, _domain = tokens.get(transaction, id)
    if tokens.revoke(transaction, id, at=at):
        facts = {"token": id, "name": token.name, "tenant": token.tenant_id, "actor_tenant": who.tenant_id}
        audit.append(transaction, [audit.AuditEvent("token.revoked", who.acting_on(token.tenant_id), facts)], at=at)
