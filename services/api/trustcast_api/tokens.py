"""Whose token is whose: the administrator's, one gateway's, or one that was made here. Only hashes of tokens are kept.

Tokens are 32 random bytes, so a plain SHA-256 of them needs no salt and no stretching.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from trustcast.storage import gateways
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import scopes
from trustcast_api.principal import Principal

if TYPE_CHECKING:
    from trustcast.storage.session import Database

_ADMIN = Principal(name="admin", tenant_id=SUPER_TENANT, scopes=scopes.ADMINISTER)


def digest(token: str) -> str:
    """SHA-256 of a token's text, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """Whose token is whose, by SHA-256. What other processes enrol or retire is noticed within `LOOK_AGAIN_SECONDS`.

    Guessing costs the guesser a request and the database nothing.
    """

    LOOK_AGAIN_SECONDS = 1.0

    def __init__(self, database: Database, admin_token_sha256: str) -> None:
        self._database = database
        self._admin_token_sha256 = admin_token_sha256
        self._owners: dict[str, Principal] = {}
        self._known_until = 0.0

    async def owner(self, token: str) -> Principal | None:
        """Return whose token this is. Raises `Unavailable`."""
        presented = digest(token)
        if hmac.compare_digest(presented, self._admin_token_sha256):
            return _ADMIN
        if self._known_until < time.monotonic():
            await run_in_threadpool(self._look)
        return self._owners.get(presented)

    def _look(self) -> None:
        with self._database.reading() as transaction:
            enrolled = gateways.enrolled(transaction)
        self._owners = {
            one.token_sha256: Principal(
                name=f"gateway:{one.name}",
                tenant_id=SUPER_TENANT,
                scopes=frozenset(),
                gateway=one.name,
                environment=one.environment,
            )
            for one in enrolled
        }
        self._known_until = time.monotonic() + self.LOOK_AGAIN_SECONDS
