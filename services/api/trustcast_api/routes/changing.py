"""What the routes that change something at once share: the key that they take, and what becomes of their answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from fastapi.responses import JSONResponse, Response

from trustcast_api.once import Answer

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


def response(answer: Answer) -> Response:
    """Return the answer as a response: JSON, or nothing where it has no body."""
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, answer.headers)
