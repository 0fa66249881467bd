"""Bounds every request body by the bytes received and by time; what a header claims about its length proves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limit:
    """Of a body: its bytes, how many a second there have to be on average, and how many bodies may be read at once.

    While others wait for a place there have to be `hurried_rate` a second.
    """

    bytes: int = MAX_BODY_BYTES
    least_rate: int = 1024
    at_once: int | None = None
    hurried_rate: int = 256 * 1024


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
            route: _Places(one.at_once, turn, one.hurried_rate)
            for route, one in limits.items()
            if one.at_once is not None
        }
        self._held = _Held(most_held)

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


class _Body:
    """A body that is being read: what of it came, how long we waited for its client, what it keeps of memory."""

    def __init__(self, receive: Receive, limit: Limit, patience: float, announced: int) -> None:
        self._receive, self._limit, self._patience, self._announced = receive, limit, patience, announced
        self.received, self.kept, self.over, self.dropped = 0, 0, False, False
        self._began = time.monotonic()
        self._waited, self._waits_since = 0.0, None  # type: float, float | None
        self._timeout: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        if self.over:
            return await self._receive()
        if self._announced > self._limit.bytes:
            raise TooLargeError
        message = await self._in_time()
        self.over = not message.get("more_body", False)
        self.received += len(message.get("body", b""))
        if self.received > self._limit.bytes:
            raise TooLargeError
        return message

    async def _in_time(self) -> Message:
        left = self._patience + self.received / self._limit.least_rate - self._waited
        self._waits_since = time.monotonic()
        try:
            return await self.wait_for(self._receive, min(self._patience, left))
        except TimeoutError:
            raise TooSlowError from None
        finally:
            self._waited, self._waits_since = self.waited(), None

    async def wait_for(self, coming: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Raises `TimeoutError`, also as soon as the body is dropped."""
        async with asyncio.timeout(0 if self.dropped else seconds) as self._timeout:
            came = await coming()
        if self.dropped:
            raise TimeoutError
        return came

    def drop(self) -> None:
        """Wait no more for it."""
        self.dropped = True
        if self._timeout is not None:
            with contextlib.suppress(RuntimeError):  # it is over: nobody waits just now
                self._timeout.reschedule(0)

    def waited(self) -> float:
        """Return for how many seconds we waited for its client."""
        return self._waited + (0 if self._waits_since is None else time.monotonic() - self._waits_since)

    def cost(self) -> float:
        """Return what it kept and for how long, in byte seconds."""
        return self.kept * (time.monotonic() - self._began)


class _Held:
    """What all bodies that are being read keep of memory."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes, self._bodies = most, 0, set[_Body]()

    @contextlib.contextmanager
    def of(self, body: _Body) -> Iterator[None]:
        self._bodies.add(body)
        try:
            yield
        finally:
            self._bodies.discard(body)
            self._set(body, 0)

    def change(self, body: _Body, to: int) -> None:
        """Count what a body keeps now. Raises `Unavailable`."""
        more = to - body.kept
        if more > 0 and self._bytes + more > self._most:
            self._make_room(body, more)
        self._set(body, to)

    def _make_room(self, body: _Body, more: int) -> None:
        """Whoever keeps much for long pays first: one that just came costs nothing yet, however many are open."""
        costs = {one: one.cost() for one in self._bodies if one.kept and not one.over}
        own = body.cost()
        for one in sorted(costs, key=costs.__getitem__, reverse=True):
            if self._bytes + more <= self._most or costs[one] <= own:
                break
            one.drop()
            self._set(one, 0)
        if self._bytes + more > self._most:
            raise _too_many()

    def _set(self, body: _Body, to: int) -> None:
        self._bytes += to - body.kept
        body.kept = to


@dataclass(eq=False, slots=True)
class _Reader:
    """Somebody who reads a body, or waits for a place to do so."""

    body: _Body
    tenant: int | None
    let_in: asyncio.Event = field(default_factory=asyncio.Event)


class _Places:
    """Where some bodies are read at once. Of those who wait, the tenant is first that has the fewest places."""

    def __init__(self, number: int, turn: float, hurried_rate: int) -> None:
        self._number, self._turn, self._hurried_rate = number, turn, hurried_rate
        self._of_one_tenant = max(1, number // 2)
        self._inside, self._waiting = list[_Reader](), list[_Reader]()

    @contextlib.asynccontextmanager
    async def one(self, body: _Body, tenant: int | None) -> AsyncIterator[None]:
        """Hold a place. Raises `Unavailable`."""
        reader = _Reader(body, tenant)
        self._waiting.append(reader)
        try:
            self._fill()
            await self._turn_of(reader)
            yield
        finally:
            (self._inside if reader in self._inside else self._waiting).remove(reader)
            self._fill()

    def _fill(self) -> None:
        while len(self._inside) < self._number:
            may = [one for one in self._waiting if self._has(one.tenant) < self._of_one_tenant]
            if not may:
                return
            first = min(may, key=lambda one: self._has(one.tenant))
            self._waiting.remove(first)
            self._inside.append(first)
            first.let_in.set()

    def _has(self, tenant: int | None) -> int:
        return sum(one.tenant == tenant for one in self._inside)

    async def _turn_of(self, reader: _Reader) -> None:
        if reader.let_in.is_set():
            return
        before = {one: (one.body.received, one.body.waited()) for one in self._inside}
        if await self._is_let_in(reader):
            return
        if not reader.body.dropped:
            self._drop_slowest(before, reader.tenant)
        if not await self._is_let_in(reader):
            raise _too_many()

    async def _is_let_in(self, reader: _Reader) -> bool:
        with contextlib.suppress(TimeoutError):
            await reader.body.wait_for(reader.let_in.wait, self._turn)
        return reader.let_in.is_set() and not reader.body.dropped

    def _drop_slowest(self, before: Mapping[_Reader, tuple[int, float]], tenant: int | None) -> None:
        """Drop who was below the hurried rate; not who had to wait for us. A tenant with all its places pays itself."""
        own = self._has(tenant) >= self._of_one_tenant
        rates = dict[_Reader, float]()
        for one in self._inside:
            if one in before and not one.body.dropped and (one.tenant == tenant or not own):
                received, waited = before[one]
                seconds = one.body.waited() - waited
                if seconds > self._turn / 2:
                    rates[one] = (one.body.received - received) / seconds
        slowest = min(rates, key=rates.__getitem__, default=None)
        if slowest is not None and rates[slowest] < self._hurried_rate:
            slowest.body.drop()


def _too_many() -> Unavailable:
    return Unavailable("too_many_at_once", "Too many requests are being read at once; try again.")


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
