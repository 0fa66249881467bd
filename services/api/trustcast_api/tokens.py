"""Whose token is whose: the administrator's, one gateway's, one that was made here, or an OpenID provider's.

Only hashes of our own tokens are kept. They are 32 random bytes, so a plain SHA-256 of them needs no salt and no
stretching.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from trustcast.storage import gateways, tenants
from trustcast.storage import tokens as stored
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import scopes
from trustcast_api.oidc import Identity, OpenIdProvider, UntrustedTokenError
from trustcast_api.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustcast.storage.gateways import Enrolled
    from trustcast.storage.session import Database
    from trustcast.storage.tokens import Token

log = structlog.get_logger("trustcast.api")

_ADMIN = Principal(name="admin", tenant_id=SUPER_TENANT, scopes=scopes.ADMINISTER)


def digest(token: str) -> str:
    """SHA-256 of a token's text, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    """What was in the database when we looked: owners and ends by hash, and tenants by domain."""

    owners: dict[str, Principal] = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)
    tenants: dict[str, int] = field(default_factory=dict)


class Tokens:
    """Whose token is whose, by SHA-256. What other processes change is noticed within `LOOK_AGAIN_SECONDS`.

    Guessing costs the guesser a request and the database nothing.
    """

    LOOK_AGAIN_SECONDS = 1.0

    def __init__(
        self,
        database: Database,
        admin_token_sha256: str,
        provider: OpenIdProvider | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._admin_token_sha256 = admin_token_sha256
        self._provider = provider
        self._now = now
        self._known = _Known()
        self._known_until = 0.0
        self._changes = 0
        self._looking = asyncio.Lock()

    async def owner(self, token: str) -> Principal | None:
        """Return whose token this is, None if it is nobody's. Raises `Unavailable`."""
        presented = digest(token)
        if hmac.compare_digest(presented, self._admin_token_sha256):
            return _ADMIN
        known = await self._fresh()
        if presented not in known.owners:
            return await self._of_provider(token)
        ends = known.ends.get(presented)
        return known.owners[presented] if ends is None or self._now() < ends else None

    def look_again(self) -> None:
        """Take nothing that was known before this moment for true: a token or a tenant changed."""
        self._changes += 1
        self._known_until = 0.0

    async def _fresh(self) -> _Known:
        if self._known_until < time.monotonic():
            async with self._looking:
                if self._known_until < time.monotonic():
                    await run_in_threadpool(self._look)
        return self._known

    def _look(self) -> None:
        changes = self._changes
        with self._database.reading() as transaction:
            enrolled = gateways.enrolled(transaction)
            made = stored.good(transaction, at=self._now())
            domains = {one.domain: one.id for one in tenants.page(transaction, limit=2**31 - 1, offset=0)[0]}
        owners = {one.token_sha256: _of_token(one) for one in made}
        owners |= {one.token_sha256: _of_gateway(one) for one in enrolled}
        self._known = _Known(owners, {one.token_sha256: one.expires_at for one in made}, domains)
        # What changed while we looked may be missing here: the next one to ask looks again.
        if changes == self._changes:
            self._known_until = time.monotonic() + self.LOOK_AGAIN_SECONDS

    async def _of_provider(self, token: str) -> Principal | None:
        if self._provider is None or token.count(".") < 2:  # noqa: PLR2004 - a JWT has three parts
            return None
        try:
            return _of_identity(await self._provider.identify(token), (await self._fresh()).tenants)
        except UntrustedTokenError as refused:
            log.info("token_refused", reason=str(refused))
            return None


def _of_gateway(one: Enrolled) -> Principal:
    return Principal(
        name=f"gateway:{one.name}",
        tenant_id=SUPER_TENANT,
        scopes=frozenset(),
        gateway=one.name,
        environment=one.environment,
    )


def _of_token(one: Token) -> Principal:
    opened = scopes.that_count(one.scopes, tenant_id=one.tenant_id, bounded=one.alias_prefixes is not None)
    return Principal(name=f"token:{one.id}", tenant_id=one.tenant_id, scopes=opened, alias_prefixes=one.alias_prefixes)


def _of_identity(one: Identity, known_tenants: dict[str, int]) -> Principal:
    tenant_id = known_tenants.get(one.tenant_domain)
    if tenant_id is None:
        raise UntrustedTokenError("there is no tenant of this name")
    opened = scopes.that_count(one.scopes, tenant_id=tenant_id, bounded=one.alias_prefixes is not None)
    return Principal(name=f"oidc:{one.subject}", tenant_id=tenant_id, scopes=opened, alias_prefixes=one.alias_prefixes)
