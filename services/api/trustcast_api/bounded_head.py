"""Bounds what comes beside a request's body: the server in use takes headers and trailers without end into memory."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 2 * 1024 * 1024
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHead(HttpToolsProtocol):
    """Ends a connection once a request brought more than `MAX_HEAD_BYTES` beside its body (checked as they arrive).

    In a head that is answered with 431; between and after the chunks of a body, where an answer may be under way
    already, with nothing. Far above what any of our answers needs, so that what is merely too long is refused by
    whoever knows why.
    """

    _beside: int | None = None  # bytes so far; None outside of a request
    _in_head = False
    _body = 0  # of what was received last

    def on_message_begin(self) -> None:
        """A request begins."""
        self._beside, self._in_head = 0, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none (RFC 9110, 6.5.1), and nobody here waits for one."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is over; what comes beside the body is counted anew."""
        self._beside, self._in_head = 0, False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose length others bound."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is over."""
        self._beside = None
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._body = 0
        super().data_received(data)
        if self._beside is None or self.transport.is_closing():
            return
        self._beside += len(data) - self._body
        if self._beside > MAX_HEAD_BYTES:
            if self._in_head:
                self.transport.write(_REFUSAL)
            self.transport.close()
