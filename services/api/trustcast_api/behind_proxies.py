"""Who is asking, where proxies stand in between: only those that the settings name are believed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_PROXIES = 20  # one behind the other


class BehindProxies:
    """ASGI middleware that takes the client's address from `X-Forwarded-For`, as far as proxies of ours wrote it.

    Each proxy adds whom it heard from at the end, so the last address that is none of ours is the client's; what
    stands before it may be anybody's invention. What is no address leaves us with the last one that was.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[Network]) -> None:
        self._app, self._trusted = app, tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its client's address."""
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
            scope["client"] = (self._client(peer, told.decode("latin-1")), port)
        await self._app(scope, receive, send)

    def _client(self, peer: str, told: str) -> str:
        client = peer
        for one in reversed(told.rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:]):
            before = _address(one.strip())
            if before is None or not self._trusts(client):
                break
            client = before
        return client

    def _trusts(self, client: str) -> bool:
        address = ipaddress.ip_address(client)
        return any(address in network for network in self._trusted)


def _address(text: str) -> str | None:
    """An IPv6 address may end in a zone, which is any text."""
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None
