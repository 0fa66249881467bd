"""Bounds every request body by the bytes received and by time; what a header claims about its length proves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from trustcast_api.body import MAX_BODY_BYTES, Body, Held, Limit, TooLargeError, TooSlowError
from trustcast_api.body_places import Places

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BULK", "MAX_BODY_BYTES", "MAX_BULK_BYTES", "PATIENCE_SECONDS", "BodyLimit", "TooLargeError", "TooSlowError"]

MAX_BULK_BYTES = 64 * 1024 * 1024
BULK: Final = ("POST", "/v1/certificates/bulk")
PATIENCE_SECONDS = 10.0
TURN_SECONDS = 5.0
MAX_HELD_BYTES = 16 * 1024 * 1024
_READ_AHEAD = 256 * 1024  # what the server in use keeps of a body that nobody reads yet

# Whoever sends slowly holds one of the few places, so they have to be faster than elsewhere.
LIMITS: Final[Mapping[tuple[str, str], Limit]] = {BULK: Limit(MAX_BULK_BYTES, 16 * 1024, at_once=4)}


class BodyLimit:
    """ASGI middleware that ends a request with 413 as soon as its body is too large, and with 408 when it is too slow.

    Too slow is one that pauses for `patience` seconds, or that after these seconds is below its route's rate on
    average; only the time counts in which we wait for the client. Where only some bodies may be read at once, at most
    half of them are one tenant's. Others wait `turn` seconds for their turn; then the slowest that was below the
    hurried rate all the while is too slow, and they wait as long again for its place; then they raise `Unavailable`.

    All bodies together may keep `most_held` bytes of memory busy. Beyond that those whose ends have not come are too
    slow, first the one that kept most for longest; where all others are whole, or cost less, `Unavailable` is raised.

    The usual limit is below the size at which multipart parsing moves a file to disk (1 MB), so no upload ever gets
    there.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        patience: float = PATIENCE_SECONDS,
        turn: float = TURN_SECONDS,
        limits: Mapping[tuple[str, str], Limit] = LIMITS,
        most_held: int = MAX_HELD_BYTES,
    ) -> None:
        self._app, self._patience, self._limits = app, patience, limits
        self._places = {
            route: Places(one.at_once, turn, one.hurried_rate)
            for route, one in limits.items()
            if one.at_once is not None
        }
        self._held = Held(most_held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = (scope["method"], scope["path"])
        places = self._places.get(route)
        announced = _announced(scope)
        body = Body(receive, self._limits.get(route, Limit()), self._patience, announced)
        async with contextlib.AsyncExitStack() as leaving:
            leaving.enter_context(self._held.of(body))

            async def counted() -> Message:
                nonlocal places
                if places is not None:  # not before somebody reads: who is asking is known by then
                    self._held.change(body, min(announced or _READ_AHEAD, _READ_AHEAD))
                    await leaving.enter_async_context(places.one(body, _tenant(scope)))
                    self._held.change(body, 0)
                    places = None
                message = await body.receive()
                if route not in self._places:
                    self._held.change(body, body.received)
                return message

            await self._app(scope, counted, send)


def _announced(scope: Scope) -> int:
    """Return what the request says of its length, 0 where it says nothing that could be one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _tenant(scope: Scope) -> int | None:
    """Return whose request this is: who asks was found before anybody reads the body."""
    principal: Any = scope.get("state", {}).get("principal")
    return None if principal is None else principal.tenant_id
