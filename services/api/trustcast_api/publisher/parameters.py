"""What the routes of every version are asked with, and what they document alike."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Query

from trustcast_api.app_context import Context, context
from trustcast_api.publisher.bodies import Error

Here = Annotated[Context, Depends(context)]
# Theirs are Java's integers, without a bound of their own.
Limit = Annotated[int, Query(ge=0, lt=2**31)]
Offset = Annotated[int, Query(ge=0, lt=2**31)]

DEFAULT_LIMIT: Final = 25
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Error} for status in (400, 401, 403, 404, 409, 413, 415, 422, 500, 503, 504)
}
DOWNLOAD: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
