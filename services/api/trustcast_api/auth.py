"""Who is asking, and whether it is for them: FastAPI dependencies, async because FastAPI takes a thread for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from trustcast_api.problems import ForbiddenError, UnauthenticatedError
from trustcast_api.tokens import Administrator, Gateway, Principal

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
            return owner
    raise UnauthenticatedError("unauthenticated", "Send a valid token: `Authorization: Bearer …`.")


async def administrator(who: Annotated[Principal, Depends(principal)]) -> Administrator:
    """Let the administrator pass. Raises `ForbiddenError("forbidden")`."""
    if not isinstance(who, Administrator):
        raise ForbiddenError("forbidden", "This token is not the administrator's; use that one.")
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
