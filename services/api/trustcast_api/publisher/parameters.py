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
    "4XX": {"model": Error, "description": "Refused; the description says why."},
    "5XX": {"model": Error, "description": "Not done, or not yet: a 504 names the operation that goes on."},
}
DOWNLOAD: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
