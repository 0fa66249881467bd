"""Who is asking: the administrator, or one gateway. Only hashes of tokens are kept.

Tokens are 32 random bytes, so a plain SHA-256 of them needs no salt and no stretching. What needs no database is async,
because FastAPI takes a thread for whatever is not.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from trustcast.storage import gateways
from trustcast_api.problems import ForbiddenError, UnauthenticatedError

if TYPE_CHECKING:
    from trustcast_api.app_context import Context

_MAX_TOKEN = 512


@dataclass(frozen=True, slots=True)
class Administrator:
    """May do everything."""

    name: str = "admin"


@dataclass(frozen=True, slots=True)
class Gateway:
    """May read its own environment and report as itself."""

    name: str
    environment: str


Principal = Administrator | Gateway


def digest(token: str) -> str:
    """SHA-256 of a token's text, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


async def principal(request: Request) -> Principal:
    """Return who sent this. Raises `UnauthenticatedError("unauthenticated")`."""
    context: Context = request.app.state.context
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and 0 < len(token) <= _MAX_TOKEN:
        presented = digest(token.strip())
        if hmac.compare_digest(presented, context.admin_token_sha256):
            return Administrator()
        if (gateway := await run_in_threadpool(_gateway, context, presented)) is not None:
            return gateway
    raise UnauthenticatedError("unauthenticated", "Send a valid token: `Authorization: Bearer …`.")


def _gateway(context: Context, token_sha256: str) -> Gateway | None:
    with context.database.reading() as transaction:
        found = gateways.by_token(transaction, token_sha256)
    return Gateway(found.name, found.environment) if found else None


async def administrator(who: Annotated[Principal, Depends(principal)]) -> Administrator:
    """Let the administrator pass. Raises `ForbiddenError("forbidden")`."""
    if not isinstance(who, Administrator):
        raise ForbiddenError("forbidden", "This token may not do that.")
    return who


async def may_read_environment(name: str, who: Annotated[Principal, Depends(principal)]) -> None:
    """Let the administrator and the environment's own gateways pass. Raises `ForbiddenError("forbidden")`."""
    if isinstance(who, Gateway) and who.environment != name:
        raise ForbiddenError("forbidden", "A gateway's token reads its own environment and nothing else.")


async def may_report(name: str, who: Annotated[Principal, Depends(principal)]) -> Gateway:
    """Let a gateway report as itself. Raises `ForbiddenError("forbidden")`."""
    if not isinstance(who, Gateway) or who.name != name:
        raise ForbiddenError("forbidden", "Only the gateway itself may report.")
    return who
