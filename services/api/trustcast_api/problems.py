"""Errors of ours become problems of HTTP (RFC 9457) here and nowhere else."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trustcast.domain import pem, private_key
from trustcast.domain.errors import (
    Conflict,
    NotFound,
    PreconditionFailed,
    Rejected,
    RejectedMany,
    TrustcastError,
    Unavailable,
)
from trustcast.storage.idempotency import KeyReusedError
from trustcast_api.allowed_methods import allowed_methods
from trustcast_api.field_errors import FieldError, field_errors
from trustcast_api.publisher.errors import for_the_face
from trustcast_api.refusals import note_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

log = structlog.get_logger("trustcast.api")


class UnauthenticatedError(TrustcastError):
    """Nobody we know sent this."""


class ForbiddenError(TrustcastError):
    """We know who sent this, and it is not for them."""


class UnsupportedMediaError(Rejected):
    """The body is of a kind that this route does not read."""


class TooManyError(TrustcastError):
    """There are as many of these as one tenant may have: some have to go before others come."""


class NotAcceptableError(Rejected):
    """No form that the client takes (`Accept`) is one that there is."""


class HinderedError(Conflict):
    """A conflict that lists what stands in the way: `members` extend the problem (RFC 9457, 3.2)."""

    def __init__(self, code: str, detail: str, *, members: Mapping[str, Any]) -> None:
        super().__init__(code, detail)
        self.members = dict(members)


STATUS_OF: dict[type[TrustcastError], HTTPStatus] = {
    Rejected: HTTPStatus.BAD_REQUEST,
    UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
# What an ended operation's problem says of its kind.
_STATUS_OF_KIND = {
    "Conflict": HTTPStatus.CONFLICT,
    "PreconditionFailed": HTTPStatus.PRECONDITION_FAILED,
    "Failed": HTTPStatus.SERVICE_UNAVAILABLE,
}
_HEADERS_OF = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "2"},
}
# What the framework refuses. The codes are ours: Python 3.13 changed some of its phrases.
_REFUSED: dict[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("body_unreadable", "The body cannot be read; send it as this route's documentation says."),
    HTTPStatus.NOT_FOUND: ("not_found", "There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "This address does not know this method."),
    HTTPStatus.REQUEST_TIMEOUT: (
        "body_too_slow",
        "The body came too slowly, or its end never came; send it again, over a better connection.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "body_too_large",
        "The request is larger than 256 KB; a certificate is a few KB.",
    ),
}


def problem(status: HTTPStatus, code: str, detail: str, errors: list[FieldError] | None = None) -> dict[str, Any]:
    """Return a problem document: `code` is stable, `detail` is for people, `errors` names each field at fault."""
    return {
        "type": f"urn:trustcast:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "errors": errors or [],
    }


def of_operation(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the problem that an operation ended with."""
    status = _STATUS_OF_KIND.get(kept.get("kind", ""), HTTPStatus.BAD_REQUEST)
    return problem(status, kept["code"], kept["detail"], _field_errors(kept.get("field"), kept["code"], kept["detail"]))


def answer(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem document as a response."""
    own = _HEADERS_OF.get(HTTPStatus(body["status"]), {})
    return JSONResponse(body, body["status"], {**own, **(headers or {})}, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error with a problem; what nobody expected is a 500 without detail, and a line in the log.

    Under the Publisher's addresses the problem is told in the Publisher's form.
    """
    for kind, handle in (
        (TrustcastError, _ours),
        (HTTPException, _of_http),
        (RequestValidationError, _of_validation),
        (ClientDisconnect, _gone),
        (Exception, _unexpected),
    ):
        app.add_exception_handler(kind, for_the_face(handle))


def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TrustcastError)  # noqa: S101 - by registration
    status = next(
        (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("unavailable", code=error.code, detail=error.detail)
    note_refusal(request, error, status)
    if isinstance(error, RejectedMany):
        errors: list[FieldError] = [
            {"field": one.field, "code": one.code, "detail": one.detail} for one in error.errors
        ]
    else:
        errors = _field_errors(error.field, error.code, error.detail)
    members = error.members if isinstance(error, HinderedError) else {}
    return answer(problem(status, error.code, error.detail, errors) | members)


def _field_errors(field: str | None, code: str, detail: str) -> list[FieldError]:
    return [{"field": field, "code": code, "detail": detail}] if field else []


def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - by registration
    status = HTTPStatus(error.status_code)
    code, detail = _REFUSED.get(status, ("refused", f"{status.phrase}."))
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request))
        detail = f"{detail} It knows: {headers['Allow']}."
    return answer(problem(status, code, detail), headers)


def _of_validation(request: Request, error: Exception) -> JSONResponse:
    """Name the fields; FastAPI's own answer would echo the input."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - by registration
    if (key := _private_key(error)) is not None:
        return _ours(request, key)
    errors = field_errors(request, error)
    detail = "Some fields are wrong; each is named under errors."
    if len(errors) == 1 and errors[0]["field"] is None:
        detail = str(errors[0]["detail"])
    return answer(problem(HTTPStatus.BAD_REQUEST, "invalid_request", detail, errors))


def _private_key(error: RequestValidationError) -> Rejected | None:
    """Return the refusal of a parameter that is wrong because it is a private key; bodies are searched before."""
    for one in error.errors():
        if isinstance(one["input"], str) and private_key.found_in(one["input"].encode(errors="surrogatepass")):
            return Rejected("private_key", pem.REASONS["private_key"], field=str(one["loc"][-1]))
    return None


def _gone(_request: Request, _error: Exception) -> JSONResponse:
    """Whoever hung up in the middle of a body reads no answer, and nobody else is at fault."""
    return answer(problem(HTTPStatus.BAD_REQUEST, *_REFUSED[HTTPStatus.BAD_REQUEST]))


def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected", exc_info=error)
    detail = "Something went wrong on our side; nothing of the request was kept unless an operation says so."
    return answer(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail))
