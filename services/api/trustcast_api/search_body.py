"""Search a JSON body before anything else reads it: for private keys, wherever they stand, and for what is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError

from trustcast_api.reading.readings import SEARCH
from trustcast_api.search_json import Json

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi import Request

    from trustcast_api.app_context import Context


async def search_body(request: Request, fields: Collection[str]) -> None:
    """Refuse a body that holds a private key, in an unknown field or a broken body, too, or a text that is none.

    What stands in one of `fields` is named; other names may be anything. Raises `Rejected("private_key")`,
    `RequestValidationError`, also for a body of very many values.
    """
    context: Context = request.app.state.context
    body = await request.body()
    fault = await context.reader.read(SEARCH, Json(body, frozenset(fields)), size=len(body))
    if fault is not None:
        place = ("body",) if fault.field is None else ("body", fault.field)
        told: dict[str, Any] = {"type": fault.type, "loc": place, "input": None}
        raise RequestValidationError([told | ({"ctx": fault.context} if fault.context else {})])
