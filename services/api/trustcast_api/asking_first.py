"""Ask who is there before reading what was sent: who may not pass is not told what else is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from trustcast_api.auth import guards, holding, principal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response


class AskingFirst(APIRoute):
    """A route with a JSON body. FastAPI reads that before it asks the dependencies, which then ask once more."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind the route's guards."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            who = await principal(request, request.headers.get("Trustcast-Tenant"))
            for guard in guards(self.dependant):
                await (guard(who) if isinstance(guard, holding) else guard(request.path_params["name"], who))
            return await handle(request)

        return guarded
