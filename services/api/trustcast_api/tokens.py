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
from typing import TYPE_CHECKING, TypeVar

import structlog
from starlette.concurrency import run_in_threadpool

from trustcast.storage import gateways, tenants
from trustcast.storage import tokens as stored
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import scopes
from trustcast_api.oidc import Identity, OpenIdProvider, UntrustedTokenError, key_id
from trustcast_api.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trustcast.storage.gateways import Enrolled
    from trustcast.storage.session import Database
    from trustcast.storage.tokens import Token

log = structlog.get_logger("trustcast.api")

_ADMIN = Principal(name="admin", tenant_id=SUPER_TENANT, scopes=scopes.ADMINISTER)


def digest(token: str) -> str:
    """SHA-256 of a token's text, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


_AT_ONCE = 500  # hashes in one question: databases bound the parameters of one statement
_LONGEST_DOMAIN = 255
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whose token it is (None: nobody's), until when it is good, and until which second we believe that."""

    owner: Principal | None
    ends: datetime | None
    until: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database answered of late, by hash, and tenants by domain. Guesses push out guesses alone."""

    most: int  # answers of each sort
    owned: dict[str, _Answer] = field(default_factory=dict)
    nobodys: dict[str, _Answer] = field(default_factory=dict)
    tenants: dict[str, tuple[int | None, float]] = field(default_factory=dict)

    def find(self, sha256: str) -> _Answer | None:
        found = self.owned.get(sha256) or self.nobodys.get(sha256)
        return found if found is not None and time.monotonic() < found.until else None

    def keep(self, sha256: str, answer: _Answer) -> None:
        self._keep(self.owned if answer.owner is not None else self.nobodys, sha256, answer)

    def keep_tenant(self, domain: str, id_: int | None, *, until: float) -> None:
        self._keep(self.tenants, domain, (id_, until))

    def _keep(self, kept: dict[str, _Kept], key: str, value: _Kept) -> None:
        kept.pop(key, None)
        if len(kept) >= self.most:
            del kept[next(iter(kept))]
        kept[key] = value


class Tokens:
    """Whose token is whose, by SHA-256. What other processes change is noticed within `LOOK_AGAIN_SECONDS`.

    Only hashes that somebody presents are looked for, by index, and at one time there is one question: whoever comes
    meanwhile is in the next one. So guessing, however many try, keeps one connection busy.
    """

    LOOK_AGAIN_SECONDS = 1.0
    MOST_KEPT = 10_000  # answers of each sort

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
        self._seen = _Seen(self.MOST_KEPT)
        self._asked: set[str] = set()
        self._looking = asyncio.Lock()

    async def owner(self, token: str, *, address: str | None = None) -> Principal | None:
        """Return whose token this is, None if it is nobody's; `address` is where it came from, for the log.

        Raises `Unavailable`.
        """
        presented = digest(token)
        if hmac.compare_digest(presented, self._admin_token_sha256):
            return _ADMIN
        found = self._seen.find(presented) or await self._ask(presented)
        if found.owner is None:
            return await self._of_provider(token, address)
        return found.owner if found.ends is None or self._now() < found.ends else None

    def look_again(self) -> None:
        """Take nothing that was known before this moment for true: a token or a tenant changed."""
        # What is looked up now goes where nobody looks any more.
        self._seen = _Seen(self.MOST_KEPT)

    async def _ask(self, presented: str) -> _Answer:
        self._asked.add(presented)
        async with self._looking:
            seen = self._seen
            if (found := seen.find(presented)) is not None:
                return found
            self._asked.discard(presented)
            hashes = [presented, *(self._asked.pop() for _ in range(min(len(self._asked), _AT_ONCE - 1)))]
            answers = await run_in_threadpool(self._look, hashes)
            for sha256, answer in answers.items():
                seen.keep(sha256, answer)
            return answers[presented]

    def _look(self, hashes: Sequence[str]) -> dict[str, _Answer]:
        until = time.monotonic() + self.LOOK_AGAIN_SECONDS
        with self._database.reading() as transaction:
            enrolled = gateways.holding(transaction, hashes)
            made = stored.good(transaction, hashes, at=self._now())
        answers = {sha256: _Answer(None, None, until) for sha256 in hashes}
        answers |= {one.token_sha256: _Answer(_of_token(one), one.expires_at, until) for one in made}
        return answers | {one.token_sha256: _Answer(_of_gateway(one), None, until) for one in enrolled}

    async def _of_provider(self, token: str, address: str | None) -> Principal | None:
        if self._provider is None or token.count(".") < 2:  # noqa: PLR2004 - a JWT has three parts
            return None
        try:
            identity = await self._provider.identify(token)
            return _of_identity(identity, await self._tenant_id(identity.tenant_domain))
        except UntrustedTokenError as refused:
            log.info("token_refused", reason=str(refused), kid=key_id(token), address=address)
            return None

    async def _tenant_id(self, domain: str) -> int | None:
        if len(domain) > _LONGEST_DOMAIN or not domain.isprintable():
            return None
        seen = self._seen
        id_, until = seen.tenants.get(domain, (None, 0.0))
        if until <= time.monotonic():
            until = time.monotonic() + self.LOOK_AGAIN_SECONDS
            id_ = await run_in_threadpool(self._look_for_tenant, domain)
            seen.keep_tenant(domain, id_, until=until)
        return id_

    def _look_for_tenant(self, domain: str) -> int | None:
        with self._database.reading() as transaction:
            found = tenants.by_domain(transaction, domain)
        return None if found is None else found.id


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


def _of_identity(one: Identity, tenant_id: int | None) -> Principal:
    if tenant_id is None:
        raise UntrustedTokenError("there is no tenant of this name")
    opened = scopes.that_count(one.scopes, tenant_id=tenant_id, bounded=one.alias_prefixes is not None)
    return Principal(name=f"oidc:{one.subject}", tenant_id=tenant_id, scopes=opened, alias_prefixes=one.alias_prefixes)
