"""Ask who is there before looking at what was sent: who may not pass is not told what else is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from trustcast.domain.errors import Rejected, RejectedMany
from trustcast_api.auth import guards, holding, principal
from trustcast_api.search_body import search_body

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response


class AskingFirst(APIRoute):
    """A route of `/v1`. It refuses parameters that it does not have: a filter with a slip would let everything pass.

    FastAPI reads a JSON body before it asks the dependencies, and does not look for what it does not need; here those
    who may not pass are turned away before either. The dependencies then ask once more.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind the route's guards."""
        handle = super().get_route_handler()
        fields = getattr(self.body_field and self.body_field.field_info.annotation, "model_fields", {}).keys()
        known = sorted(one.alias for one in get_flat_params(self.dependant) if isinstance(one.field_info, Query))

        async def guarded(request: Request) -> Response:
            unknown = request.query_params.keys() - set(known)
            if unknown or self.body_field is not None:
                who = await principal(request, request.headers.get("Trustcast-Tenant"))
                for guard in guards(self.dependant):
                    if isinstance(guard, holding):
                        guard.passed(who)
                    else:
                        await guard(request.path_params["name"], who)
            if unknown:
                raise _unknown(known, len(unknown))
            if self.body_field is not None:
                await search_body(request, fields)
            return await handle(request)

        return guarded


def _unknown(known: list[str], number: int) -> RejectedMany:
    those = "is unknown" if number == 1 else "are unknown"
    there_are = f"there are {', '.join(known)}" if known else "there are none here"
    detail = f"{number} of the query's parameters {those}; {there_are}."
    return RejectedMany((Rejected("parameter_unknown", detail),))
