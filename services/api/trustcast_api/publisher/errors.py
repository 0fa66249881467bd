"""Errors in the Publisher's own form, for everything under its addresses.

The codes and sentences are those of `problems.py`; here they are only put into another envelope.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import Request, Response

ROOT: Final = "/api/am/publisher"

_TAKEN: Final = frozenset({"alias_exists", "alias_reserved", "certificate_exists", "endpoint_has_certificate"})
_OF_ITS_CERTIFICATES: Final = 6  # parts of `/api/am/publisher/v4/endpoint-certificates`
# Theirs where they have one; Python's phrases change between versions.
_MESSAGES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Payload Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Entity",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
}
# What is wrong is told by these only together with the field.
_NAMELESS: Final = frozenset({"invalid_request", "field_missing", "field_invalid", "field_repeated"})
# Clients look for this text to tell an expired certificate from any other.
_EXPIRED: Final = "Certificate Expired. "


def error(
    status: HTTPStatus,
    description: str,
    *,
    message: str | None = None,
    more_info: str = "",
    errors: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return their error: `code` is the HTTP status; `more_info` is where to read on, `error` names several faults."""
    return {
        "code": int(status),
        "message": message or _MESSAGES.get(status, status.phrase),
        "description": description,
        "moreInfo": more_info,
        "error": [dict(one) for one in errors],
    }


def of_problem(problem: Mapping[str, Any], *, asked: str = "/v1/certificates", more_info: str = "") -> dict[str, Any]:
    """Return their error for a problem document of ours. Their screens show the description, so it says everything.

    `asked` is the path of the request: advice names the routes next to it.
    """
    status, code, faults = HTTPStatus(problem["status"]), problem["code"], problem["errors"]
    if code == "certificate_not_found":  # what an operation finds gone is a conflict to us, gone to them
        status = HTTPStatus.NOT_FOUND
    named = [f"{one['field']}: {one['detail']}" if one["field"] else one["detail"] for one in faults]
    description = " ".join(named) if code in _NAMELESS else problem["detail"]
    return error(
        status,
        _EXPIRED * (code == "certificate_expired") + _advising(description, asked),
        message="Resource Already Exists" if code in _TAKEN else None,
        more_info=more_info,
        errors=[{"code": one["code"], "message": name} for one, name in zip(faults, named, strict=True)]
        if code in _NAMELESS
        else [],
    )


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error as a response."""
    return JSONResponse(dict(body), body["code"], headers)


def for_the_face(
    handle: Callable[[Request, Exception], JSONResponse],
) -> Callable[[Request, Exception], Response]:
    """Return an exception handler that answers as `handle`, but in the Publisher's form under its addresses."""

    def answered(request: Request, exception: Exception) -> Response:
        told = handle(request, exception)
        if not covers(request.url.path):
            return told
        kept = {name: value for name, value in told.headers.items() if name not in {"content-length", "content-type"}}
        return answer(of_problem(json.loads(bytes(told.body)), asked=request.url.path), kept)

    return answered


def _advising(description: str, asked: str) -> str:
    """Name the face's own routes for looking and replacing; others, such as rotations, only `/v1` has."""
    own = "/".join(asked.split("/")[:_OF_ITS_CERTIFICATES])
    return re.sub(r"\b(GET|PUT) /v1/certificates\b", rf"\1 {own}", description)


def covers(path: str) -> bool:
    """Tell whether a path is one of the Publisher's."""
    return path == ROOT or path.startswith(f"{ROOT}/")
