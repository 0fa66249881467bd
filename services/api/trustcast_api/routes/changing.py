"""What the routes that change something share: headers that count once, and what becomes of an answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from trustcast.domain import pem
from trustcast.domain.errors import Rejected
from trustcast_api.once import Answer


async def _key(
    request: Request,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> str | None:
    return _once(request, "Idempotency-Key", idempotency_key)


async def _if_match(request: Request, if_match: Annotated[str | None, Header(max_length=255)] = None) -> str | None:
    return _once(request, "If-Match", if_match)


Key = Annotated[str | None, Depends(_key)]
IfMatch = Annotated[str | None, Depends(_if_match)]


def response(answer: Answer) -> Response:
    """Return the answer as a response: JSON, or nothing where it has no body."""
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, answer.headers)


def _once(request: Request, name: str, value: str | None) -> str | None:
    """Of two, which one counts would be anybody's guess, and that of a proxy may be another one."""
    if len(request.headers.getlist(name)) > 1:
        raise Rejected("field_repeated", "Send this header once.", field=name)
    pem.refuse_private_key((value or "").encode(), name)  # 255 characters at most: that is done in microseconds
    return value
