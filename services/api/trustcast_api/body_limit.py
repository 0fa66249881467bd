"""Bounds every request body by the bytes received and by time; what a header claims about its length proves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
MAX_BULK_BYTES = 64 * 1024 * 1024
BULK: Final = ("POST", "/v1/certificates/bulk")
PATIENCE_SECONDS = 10.0
TURN_SECONDS = 5.0
MAX_HELD_BYTES = 16 * 1024 * 1024
_READ_AHEAD = 256 * 1024  # what the server in use keeps of a body that nobody reads yet


@dataclass(frozen=True, slots=True)
class Limit:
    """Of a body: its bytes, how many a second there have to be on average, and how many bodies may be read at once."""

    bytes: int = MAX_BODY_BYTES
    least_rate: int = 1024
    at_once: int | None = None


# Whoever sends slowly holds one of the few places, so they have to be faster than elsewhere.
LIMITS: Final[Mapping[tuple[str, str], Limit]] = {BULK: Limit(MAX_BULK_BYTES, 16 * 1024, at_once=4)}


# FastAPI's own kind: it takes any other for a body that cannot be parsed.
class TooLargeError(HTTPException):
    """The body has more bytes than its route takes."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class TooSlowError(HTTPException):
    """The body comes so slowly that nobody waits for its end."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"})


class BodyLimit:
    """ASGI middleware that ends a request with 413 as soon as its body is too large, and with 408 when it is too slow.

    Too slow is one that pauses for `patience` seconds, or that after these seconds is below its route's rate on
    average; only the time counts in which we wait for the client. Where only some bodies may be read at once, others
    wait `turn` seconds for their turn; then they raise `Unavailable`.

    All bodies together may keep `MAX_HELD_BYTES` of memory busy while their ends have not come; whoever goes beyond
    that gets `Unavailable`, too.

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
    ) -> None:
        self._app, self._patience, self._turn, self._limits = app, patience, turn, limits
        self._places = {
            route: asyncio.Semaphore(one.at_once) for route, one in limits.items() if one.at_once is not None
        }
        self._held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = (scope["method"], scope["path"])
        places = self._places.get(route)
        announced = _announced(scope)
        body = _Body(receive, self._limits.get(route, Limit()), self._patience, announced)
        async with contextlib.AsyncExitStack() as leaving:
            held = leaving.enter_context(self._held.share())

            async def counted() -> Message:
                nonlocal places
                if places is not None:  # not before somebody reads: who is asking is known by then
                    held.change(min(announced or _READ_AHEAD, _READ_AHEAD))
                    await leaving.enter_async_context(_place(places, self._turn))
                    held.change(0)
                    places = None
                message = await body.receive()
                if route not in self._places:
                    held.change(body.received)
                return message

            await self._app(scope, counted, send)


class _Held:
    """What all bodies that are being read keep of memory."""

    def __init__(self) -> None:
        self.bytes = 0

    @contextlib.contextmanager
    def share(self) -> Iterator[_Share]:
        share = _Share(self)
        try:
            yield share
        finally:
            self.bytes -= share.bytes


class _Share:
    """What one of them keeps."""

    def __init__(self, held: _Held) -> None:
        self._held, self.bytes = held, 0

    def change(self, to: int) -> None:
        more = to - self.bytes
        if more > 0 and self._held.bytes + more > MAX_HELD_BYTES:
            raise _too_many()
        self._held.bytes += more
        self.bytes = to


class _Body:
    def __init__(self, receive: Receive, limit: Limit, patience: float, announced: int) -> None:
        self._receive, self._limit, self._patience, self._announced = receive, limit, patience, announced
        self.received, self._waited, self._over = 0, 0.0, False

    async def receive(self) -> Message:
        if self._over:
            return await self._receive()
        if self._announced > self._limit.bytes:
            raise TooLargeError
        message = await self._in_time()
        self._over = not message.get("more_body", False)
        self.received += len(message.get("body", b""))
        if self.received > self._limit.bytes:
            raise TooLargeError
        return message

    async def _in_time(self) -> Message:
        left = self._patience + self.received / self._limit.least_rate - self._waited
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._patience, left)):
                return await self._receive()
        except TimeoutError:
            raise TooSlowError from None
        finally:
            self._waited += time.monotonic() - began


@contextlib.asynccontextmanager
async def _place(places: asyncio.Semaphore, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            await places.acquire()
    except TimeoutError:
        raise _too_many() from None
    try:
        yield
    finally:
        places.release()


def _too_many() -> Unavailable:
    return Unavailable("too_many_at_once", "Too many requests are being read at once; try again.")


def _announced(scope: Scope) -> int:
    """Return what the request says of its length, 0 where it says nothing that could be one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
