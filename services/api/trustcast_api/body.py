"""A body that is being read: how much of it may come and how fast, and what all of them keep of memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from fastapi import HTTPException

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import Message, Receive

MAX_BODY_BYTES = 256 * 1024

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


# FastAPI's own kind: it takes any other for a body that cannot be parsed.
class TooLargeError(HTTPException):
    """The body has more bytes than its route takes."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class TooSlowError(HTTPException):
    """The body comes so slowly that nobody waits for its end."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"})


class Body:
    """A body that is being read: what of it came, how long we waited for its client, what it keeps of memory."""

    def __init__(self, receive: Receive, limit: Limit, patience: float, announced: int) -> None:
        self._receive, self._limit, self._patience, self._announced = receive, limit, patience, announced
        self.received, self.kept, self.over, self.dropped = 0, 0, False, False
        self._began = time.monotonic()
        self._waited, self._waits_since = 0.0, None  # type: float, float | None
        self._timeout: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        """Return what comes next. Raises `TooLargeError`, `TooSlowError`."""
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
        """Wait for what is `coming`. Raises `TimeoutError`, also as soon as the body is dropped."""
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


class Held:
    """What all bodies that are being read keep of memory."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes, self._bodies = most, 0, set[Body]()

    @contextlib.contextmanager
    def of(self, body: Body) -> Iterator[None]:
        """Count a body among them as long as it is being read."""
        self._bodies.add(body)
        try:
            yield
        finally:
            self._bodies.discard(body)
            self._set(body, 0)

    def change(self, body: Body, to: int) -> None:
        """Count what a body keeps now. Raises `Unavailable`."""
        more = to - body.kept
        if more > 0 and self._bytes + more > self._most:
            self._make_room(body, more)
        self._set(body, to)

    def _make_room(self, body: Body, more: int) -> None:
        """Whoever keeps much for long pays first: one that just came costs nothing yet, however many are open."""
        costs = {one: one.cost() for one in self._bodies if one.kept and not one.over}
        own = body.cost()
        for one in sorted(costs, key=costs.__getitem__, reverse=True):
            if self._bytes + more <= self._most or costs[one] <= own:
                break
            one.drop()
            self._set(one, 0)
        if self._bytes + more > self._most:
            raise too_many()

    def _set(self, body: Body, to: int) -> None:
        self._bytes += to - body.kept
        body.kept = to


def too_many() -> Unavailable:
    """Return what is raised where there is no room for one more."""
    return Unavailable("too_many_at_once", "Too many requests are being read at once; try again.")
