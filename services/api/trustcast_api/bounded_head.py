"""Bounds what comes beside a request's body, in bytes and in time: the server in use waits and keeps without end."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 2 * 1024 * 1024
MAX_HEADS_BYTES = 8 * 1024 * 1024
HEAD_SECONDS = 10.0
LINGER_SECONDS = 2.0
_REFUSAL = b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = _REFUSAL % b"431 Request Header Fields Too Large"
_TOO_SLOW = _REFUSAL % b"408 Request Timeout"


class BoundedHead(HttpToolsProtocol):
    """Ends a connection once a request brought more than `MAX_HEAD_BYTES` beside its body (checked as they arrive).

    In a head that is answered with 431; between and after the chunks of a body, where an answer may be under way
    already, with nothing. Far above what any of our answers needs, so that what is merely too long is refused by
    whoever knows why.

    All heads together whose ends have not come keep `MAX_HEADS_BYTES` of memory. Beyond that those are ended with 408
    which kept most for longest, so that nobody is refused because others do not end.

    A head has to be complete `head_seconds` after its first byte, and the first one after the connection was made:
    else 408. Where a request was answered before its body was over, the rest is read and dropped for
    `linger_seconds`, so that the answer gets there (RFC 9112, 9.6), and then the connection ends.
    """

    head_seconds = HEAD_SECONDS
    linger_seconds = LINGER_SECONDS

    kept: ClassVar[int] = 0  # bytes of heads, by all connections of this process
    heads: ClassVar[set[BoundedHead]] = set()  # that keep any
    _kept = 0  # by this one
    _kept_since = 0.0

    _beside: int | None = None  # bytes so far; None outside of a request
    _in_head = False
    _body = 0  # of what was received last
    _bytes_came = False
    _parsed = False  # whether what was received last was part of a request
    _waiting: asyncio.TimerHandle | None = None  # for a head
    _lingering: asyncio.TimerHandle | None = None  # for the end of a body that nobody reads

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects, and is expected to say something."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        self._stop_lingering()
        self._keep(0)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._beside, self._in_head, self._parsed = 0, True, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none (RFC 9110, 6.5.1), and nobody here waits for one."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is over; what comes beside the body is counted anew."""
        self._beside, self._in_head = 0, False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose length others bound."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is over."""
        self._beside = None
        self._stop_lingering()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out: to the request whose body is still coming, or to one before it."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self.cycle.body = bytearray()  # or what nobody read stays until the next request
        unread = self._beside is not None and not self._in_head and self.cycle.response_complete
        if unread and self._lingering is None and not self.transport.is_closing():
            self._lingering = self.loop.call_later(self.linger_seconds, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._body, self._bytes_came, self._parsed = 0, True, self._beside is not None
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Line breaks before a request are no part of it, and end the server's own wait for one.
        if self._waiting is None and (self._in_head or not self._parsed):
            self._wait_for_head()
        if self._beside is None:
            self._keep(0)
            return
        self._beside += len(data) - self._body
        self._keep(self._beside if self._in_head else 0)
        if self._beside > MAX_HEAD_BYTES:
            if self._in_head:
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        while BoundedHead.kept > MAX_HEADS_BYTES:
            max(BoundedHead.heads, key=BoundedHead.cost).drop()

    def _keep(self, number: int) -> None:
        if number and not self._kept:
            self._kept_since = self.loop.time()
            BoundedHead.heads.add(self)
        elif self._kept and not number:
            BoundedHead.heads.discard(self)
        BoundedHead.kept += number - self._kept
        self._kept = number

    def cost(self) -> float:
        """Return what it kept and for how long, in byte seconds."""
        return self._kept * (self.loop.time() - self._kept_since)

    def drop(self) -> None:
        """Wait no more for its end."""
        self._keep(0)
        if not self.transport.is_closing():
            if self._is_idle():
                self.transport.write(_TOO_SLOW)
            self.transport.close()

    def _is_idle(self) -> bool:
        """Tell whether no answer is under way."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # at first None

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(self.head_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._waiting = None
        if not self._is_idle():
            self._wait_for_head()  # while an answer is under way nothing more is read
        elif not self.transport.is_closing():
            if self._bytes_came:
                self.transport.write(_TOO_SLOW)
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
