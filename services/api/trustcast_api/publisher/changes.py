"""Have something changed and answer with the verdict, as the Publisher does: its clients know nothing of operations."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi.responses import JSONResponse, Response

from trustcast.domain.errors import Unavailable
from trustcast.domain.operation import Kind, State
from trustcast_api import await_operation, problems
from trustcast_api.publisher import errors, form
from trustcast_api.publisher.bodies import Metadata
from trustcast_api.publisher.looks import known
from trustcast_api.reading.readings import REPLACING, SINGLE, Replacing
from trustcast_api.request import Request as Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from trustcast.storage.operations import Operation
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal


async def add(here: Context, request: Request, *, who: Principal, key: str | None) -> Response:
    """Answer an upload. The endpoint is given back as it was sent, which is what theirs do."""
    sent = await form.sent(request)
    new = await here.reader.read(SINGLE, sent, size=len(sent.body))

    def added(operation: Operation) -> Response:
        headers = {"Location": f"{request.url.path}?{urlencode({'alias': operation.alias})}"}
        return _metadata(operation, new.endpoint, HTTPStatus.CREATED, headers)

    return await _answer(here, request, new.request, added, who, key)


async def replace(here: Context, alias: str, request: Request, *, who: Principal, key: str | None) -> Response:
    """Answer the upload of a successor, whoever used what the old one served: theirs ask nobody, either."""
    sent = await form.sent(request)
    asked = Replacing(form=sent, alias=known(alias), force=True)
    wanted = await here.reader.read(REPLACING, asked, size=len(sent.body))
    return await _answer(here, request, wanted, lambda operation: _metadata(operation, operation.endpoint), who, key)


async def delete(here: Context, alias: str, request: Request, *, who: Principal, key: str | None) -> Response:
    """Answer a deletion; theirs ask nobody whether the certificate is in use."""
    wanted = Wanted(kind=Kind.DELETE, alias=known(alias), force=True)
    return await _answer(here, request, wanted, lambda _: Response(), who, key)


async def _answer(
    here: Context,
    request: Request,
    wanted: Wanted,
    done: Callable[[Operation], Response],
    who: Principal,
    key: str | None,
) -> Response:
    operation = await await_operation.accept(here, wanted, who=who, idempotency_key=key)
    try:
        operation = await await_operation.ended(here, operation, seconds=here.settings.publisher_wait_seconds)
    except Unavailable:
        return _goes_on(operation)
    if operation.state is State.APPLIED:
        return done(operation)
    if operation.problem is None:
        return _goes_on(operation)
    problem = problems.of_operation(operation.problem)
    return errors.answer(errors.of_problem(problem, asked=request.url.path, more_info=_address(operation)))


def _metadata(
    operation: Operation,
    endpoint: str | None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    body = Metadata(alias=operation.alias, endpoint=endpoint or "")
    return JSONResponse(body.model_dump(), status, headers)


def _goes_on(operation: Operation) -> Response:
    description = (
        f"There is no verdict yet. The request was accepted and goes on as operation {operation.id}; "
        f"GET {_address(operation)} tells how it ends."
    )
    return errors.answer(errors.error(HTTPStatus.GATEWAY_TIMEOUT, description, more_info=_address(operation)))


def _address(operation: Operation) -> str:
    return f"/v1/operations/{operation.id}"
