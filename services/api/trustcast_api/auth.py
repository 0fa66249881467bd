"""Who is asking, and whether it is for them: FastAPI dependencies, async because FastAPI takes a thread for others.

A route says what it needs with `Depends(holding(scopes.…))`; a route without one of these dependencies is public, and
a test names those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from trustcast_api.principal import Principal
from trustcast_api.problems import ForbiddenError, UnauthenticatedError

if TYPE_CHECKING:
    from trustcast_api.app_context import Context

_MAX_TOKEN = 512


async def principal(request: Request) -> Principal:
    """Return who sent this. Raises `UnauthenticatedError("unauthenticated")`."""
    context: Context = request.app.state.context
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and 0 < len(token) <= _MAX_TOKEN:
        owner = await context.tokens.owner(token.strip())
        if owner is not None:
            return replace(owner, address=request.client.host if request.client else None)
    raise UnauthenticatedError("unauthenticated", "Send a valid token: `Authorization: Bearer …`.")


@dataclass(frozen=True, slots=True)
class holding:  # noqa: N801 - used as a function: `Depends(holding(…))`
    """Let those pass who hold one of `scopes`. Raises `ForbiddenError("forbidden")`."""

    scopes: frozenset[str]

    async def __call__(self, who: Annotated[Principal, Depends(principal)]) -> Principal:
        """Return who passed."""
        if not who.holds(self.scopes):
            raise ForbiddenError("forbidden", f"This needs a token with one of the scopes {_listed(self.scopes)}.")
        return who


@dataclass(frozen=True, slots=True)
class holding_or_own_gateway:  # noqa: N801
    """Let those pass who hold one of `scopes`, and the gateways of the environment `name`."""

    scopes: frozenset[str]

    async def __call__(self, name: str, who: Annotated[Principal, Depends(principal)]) -> Principal:
        """Return who passed. Raises `ForbiddenError("forbidden")`."""
        if who.environment != name and not who.holds(self.scopes):
            raise ForbiddenError("forbidden", "A gateway's token reads its own environment and nothing else.")
        return who


async def own_gateway(name: str, who: Annotated[Principal, Depends(principal)]) -> Principal:
    """Let a gateway report as itself. Raises `ForbiddenError("forbidden")`."""
    if who.gateway is None or who.gateway != name:
        raise ForbiddenError("forbidden", "Only the gateway itself may report.")
    return who


def _listed(scopes: frozenset[str]) -> str:
    return ", ".join(sorted(scopes))
