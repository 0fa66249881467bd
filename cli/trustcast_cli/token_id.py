"""Which token is meant by the beginning of its id."""

from __future__ import annotations

from urllib.parse import quote

import httpx

from trustcast_cli import client
from trustcast_cli.errors import CannotRun

_WHOLE = 36  # a UUID with its hyphens
_SHORTEST = 8


def whole(api: httpx.Client, given: str) -> str:
    """Return the id to put into a path. Raises `CannotRun` if it is too short, or the beginning of none or several."""
    if len(given) >= _WHOLE:
        return quote(given, safe="")
    if len(given) < _SHORTEST:
        raise CannotRun(f"Give the token's id, or at least its first {_SHORTEST} characters.")
    found = [str(one["id"]) for one in client.pages(api, "/v1/tokens", of="tokens")]
    matching = [one for one in found if one.startswith(given.lower())]
    if not matching:
        raise CannotRun(f"No token's id begins with {given!r}; `trustcast tokens list` shows them.")
    if len(matching) > 1:
        raise CannotRun(f"Several tokens' ids begin with {given!r}: {', '.join(matching)}.")
    return matching[0]
