"""`/v1/operations`: the fate of each request; and how a mutating route answers (RFC 7240, `Prefer: wait`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Unavailable
from trustcast.domain.operation import ENDED, JUDGED, Kind, State
from trustcast.storage.operations import Operation
from trustcast_api import etags, problems, scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.await_operation import accept
from trustcast_api.cancel_operation import cancel_operation
from trustcast_api.list_operations import Filters, list_operations
from trustcast_api.principal import Principal
from trustcast_api.read_operation import read_operation
from trustcast_api.request import Request
from trustcast_api.routes.changing import Key
from trustcast_api.schemas import Name
from trustcast_api.schemas_of_operations import OperationBody, OperationPage, OperationSummary

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=AskingFirst)

LONGEST_WAIT_SECONDS = 60
_WAIT = re.compile(r"(?:^|[\s,;])wait=(\d{1,6})(?:$|[\s,;])")
Prefer = Annotated[str, Header(max_length=255)]
Here = Annotated[Context, Depends(context)]
Reader = Annotated[Principal, Depends(holding(scopes.READ_OPERATIONS))]
Changer = Annotated[Principal, Depends(holding(scopes.ADD_CERTIFICATES | scopes.UPDATE_CERTIFICATES))]
# What a route that mutates says of its answers in the OpenAPI document.
ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: {"model": OperationBody, "description": "With `Prefer: wait=N`: it has been applied."},
    202: {"model": OperationBody, "description": "Accepted; `Location` names the operation."},
}
ADDED = ACCEPTED | {201: {"model": OperationBody, "description": "With `Prefer: wait=N`: it is trusted now."}}
del ADDED[200]


@router.get("", summary="List operations", operation_id="listOperations")
def look(
    who: Reader,
    here: Here,
    state: State | None = None,
    kind: Kind | None = None,
    alias: Name | None = None,
    batch: Name | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> OperationPage:
    """List requests, the newest first; GET one of them also tells what its gateways report."""
    filters = Filters(state=state, kind=kind, alias=alias, batch=batch)
    found = list_operations(here.database, who.tenant_id, filters, limit=limit, offset=offset)
    bodies = [OperationSummary.of(one, found.generations[one.id]) for one in found.operations]
    return OperationPage(operations=bodies, total=found.total, limit=limit, offset=offset)


@router.get("/{id}", summary="Describe an operation", operation_id="getOperation")
def look_at(id: Name, who: Reader, here: Here) -> OperationBody:  # noqa: A002 - the name in the contract
    """Tell one operation's story."""
    return _body(here, who, id)


@router.post("/{id}/cancel", summary="Cancel a scheduled operation", operation_id="cancelOperation")
def cancel(id: Name, who: Changer, here: Here, idempotency_key: Key = None) -> OperationBody:  # noqa: A002
    """Call off what is to be applied later (`activate_at`): it ends as rejected, with the code `cancelled`."""
    answer = cancel_operation(here.database, id, who=who, idempotency_key=idempotency_key, at=here.now())
    return OperationBody.model_validate(answer.body)


async def answer_with_operation(
    here: Context, wanted: Request, *, who: Principal, key: str | None, prefer: str
) -> Response:
    """Accept what is asked for and answer 202 at once; with `Prefer: wait=N` wait for the end.

    The end is 201, 200 for what adds nothing, or the problem; for what is scheduled beyond the wait the verdict is as
    far as it gets: 202, or the problem. The certificate that is trusted then has the `ETag`.
    """
    operation = await accept(here, wanted, who=who, idempotency_key=key)
    headers = {"Location": f"/v1/operations/{operation.id}"}
    body, wait = OperationBody.of(operation, {}, []), _WAIT.search(prefer)
    if wait:
        seconds = min(int(wait[1]), LONGEST_WAIT_SECONDS)
        headers["Preference-Applied"] = f"wait={seconds}"
        # What was accepted stays accepted, even if the database is away when we look how it went.
        with contextlib.suppress(Unavailable):
            await here.endings.wait(operation.id, seconds=seconds, until=_end(here, operation, seconds))
            body = await run_in_threadpool(_body, here, who, operation.id)
    elif operation.state is not State.RECEIVED:
        body = await run_in_threadpool(_body, here, who, operation.id)
    if wait and body.state is State.APPLIED and operation.fingerprint_sha256 is not None:
        headers["ETag"] = etags.of(operation.fingerprint_sha256)
    return _answer(body, headers, waited=wait is not None)


def _end(here: Context, operation: Operation, seconds: int) -> frozenset[State]:
    """Return what to wait for: before its time nothing is applied, so beyond the verdict there is nothing to see."""
    return JUDGED if operation.is_scheduled(here.now() + timedelta(seconds=seconds)) else ENDED


def _answer(body: OperationBody, headers: Mapping[str, str], *, waited: bool) -> Response:
    if waited and body.problem is not None:
        return problems.answer(body.problem | {"operation": body.id}, headers)
    status = 202
    if waited and body.state is State.APPLIED:
        status = 201 if body.kind is Kind.ADD else 200
    return JSONResponse(body.model_dump(mode="json"), status, headers)


def _body(here: Context, who: Principal, id: str) -> OperationBody:  # noqa: A002
    story = read_operation(here.database, who, id)
    return OperationBody.of(story.operation, story.generations, story.gateways)
