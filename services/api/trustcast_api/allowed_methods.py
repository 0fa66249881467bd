"""Which methods an address knows (RFC 9110, 15.5.6): each route knows only its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts
from starlette.routing import Match

if TYPE_CHECKING:
    from fastapi import Request


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes at the request's path, in alphabetical order."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)
