"""Bounds what comes before a request's body: the server in use takes headers without end into memory."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 2 * 1024 * 1024
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHead(HttpToolsProtocol):
    """Ends a connection with 431 once request line and headers passed `MAX_HEAD_BYTES` (checked as they arrive).

    Far above what any of our answers needs, so that what is merely too long is refused by whoever knows why.
    """

    _head: int | None = None  # bytes so far; None outside of a head

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is over."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        if self._head is None or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > MAX_HEAD_BYTES:
            self.transport.write(_REFUSAL)
            self.transport.close()
