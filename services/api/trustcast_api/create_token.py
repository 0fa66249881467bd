"""Make a token for somebody. Its text is made by whoever asks and never comes here: no secret travels back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trustcast.domain.errors import Conflict, FieldErrors, Rejected
from trustcast.storage import audit, tenants, tokens
from trustcast.storage.tokens import Token
from trustcast_api import scopes

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.tenants import Tenant
    from trustcast_api.principal import Principal

LONGEST_LIFE = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What is asked for: `tenant` is a domain, `token_sha256` the SHA-256 of the token's text in hexadecimal."""

    name: str
    tenant: str
    scopes: frozenset[str]
    alias_prefixes: tuple[str, ...] | None
    expires_at: datetime
    token_sha256: str


def create_token(transaction: Connection, asked: NewToken, *, who: Principal, at: datetime) -> tuple[Token, str]:
    """Return the new token and its tenant's domain.

    Raises `Rejected` for each field at fault, `Conflict("token_exists")` for a hash that was used before.
    """
    tenant = _checked(transaction, asked, at)
    if tokens.is_known(transaction, asked.token_sha256):
        raise Conflict("token_exists", "Somebody has this token, or had it; make another one.", field="token_sha256")
    made = Token(
        id=str(uuid.uuid4()),
        tenant_id=tenant.id,
        name=asked.name,
        token_sha256=asked.token_sha256,
        scopes=tuple(sorted(asked.scopes)),
        alias_prefixes=None if asked.alias_prefixes is None else tuple(sorted(set(asked.alias_prefixes))),
        created_by=who.name,
        created_at=at,
        expires_at=asked.expires_at,
    )
    tokens.add(transaction, made)
    facts = {
        "token": made.id,
        "name": made.name,
        "tenant": tenant.id,
        "actor_tenant": who.tenant_id,
        "scopes": list(made.scopes),
        "alias_prefixes": None if made.alias_prefixes is None else list(made.alias_prefixes),
        "expires_at": made.expires_at.isoformat(),
    }
    audit.append(transaction, [audit.AuditEvent("token.created", who.acting_on(tenant.id), facts)], at=at)
    return made, tenant.domain


def _checked(transaction: Connection, asked: NewToken, at: datetime) -> Tenant:
    errors = FieldErrors()
    tenant = tenants.by_domain(transaction, asked.tenant)
    with errors.of("tenant"):
        if tenant is None:
            raise Rejected("tenant_unknown", tenants.UNKNOWN_DOMAIN)
    with errors.of("scopes"):
        _check_scopes(asked, tenant)
    with errors.of("expires_at"):
        if not at < asked.expires_at <= at + LONGEST_LIFE:
            raise Rejected("expiry_out_of_range", f"Take a moment to come, at most {LONGEST_LIFE.days} days ahead.")
    errors.raise_if_any()
    assert tenant is not None  # noqa: S101 - or it raised
    return tenant


def _check_scopes(asked: NewToken, tenant: Tenant | None) -> None:
    if asked.scopes - scopes.ALL:
        raise Rejected("scope_unknown", f"The scopes are {', '.join(sorted(scopes.ALL))}.")
    bounded = asked.alias_prefixes is not None
    if tenant and asked.scopes - scopes.that_count(asked.scopes, tenant_id=tenant.id, bounded=bounded):
        raise Rejected(
            "scope_impossible",
            f"{', '.join(sorted(scopes.BEYOND_ONE_TENANT))} are for the super tenant's tokens, and trustcast:admin is "
            "for tokens without alias prefixes.",
        )
