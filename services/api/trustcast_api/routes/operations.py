"""`/v1/operations`: the fate of each request; and how a mutating route answers (RFC 7240, `Prefer: wait`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Unavailable
from trustcast.storage import gateways, operations
from trustcast.storage.operations import Kind, Operation, State
from trustcast_api import problems, scopes
from trustcast_api.app_context import Context, context
from trustcast_api.auth import holding
from trustcast_api.await_operation import ended
from trustcast_api.principal import Principal
from trustcast_api.schemas import Name, OperationBody

router = APIRouter(prefix="/v1/operations", tags=["operations"])

LONGEST_WAIT_SECONDS = 60
_WAIT = re.compile(r"(?:^|[\s,;])wait=(\d{1,6})(?:$|[\s,;])")


@router.get("/{id}")
def look_at(
    id: Name,  # noqa: A002 - the name in the contract
    who: Annotated[Principal, Depends(holding(scopes.READ_OPERATIONS))],
    here: Annotated[Context, Depends(context)],
) -> OperationBody:
    """Tell one operation's story."""
    return _body(here, who.tenant_id, id)


async def answer_with_operation(here: Context, operation: Operation, prefer: str) -> Response:
    """Answer 202 at once; with `Prefer: wait=N` wait for the end and answer 201 (200 for a delete) or the problem."""
    headers = {"Location": f"/v1/operations/{operation.id}"}
    body, wait = OperationBody.of(operation, {}, []), _WAIT.search(prefer)
    if wait:
        seconds = min(int(wait[1]), LONGEST_WAIT_SECONDS)
        headers["Preference-Applied"] = f"wait={seconds}"
        # What was accepted stays accepted, even if the database is away when we look how it went.
        with contextlib.suppress(Unavailable):
            await ended(here, operation, seconds=seconds)
            body = await run_in_threadpool(_body, here, operation.tenant_id, operation.id)
    elif operation.state is not State.RECEIVED:
        body = await run_in_threadpool(_body, here, operation.tenant_id, operation.id)
    return _answer(body, headers, waited=wait is not None)


def _answer(body: OperationBody, headers: Mapping[str, str], *, waited: bool) -> Response:
    if waited and body.problem is not None:
        return problems.answer(body.problem | {"operation": body.id}, headers)
    status = 202
    if waited and body.state is State.APPLIED:
        status = 201 if body.kind is Kind.ADD else 200
    return JSONResponse(body.model_dump(mode="json"), status, headers)


def _body(here: Context, tenant_id: int, id: str) -> OperationBody:  # noqa: A002
    with here.database.reading() as transaction:
        operation = operations.get(transaction, tenant_id, id)
        told = [*gateways.arrivals(transaction, id), *gateways.kept_back(transaction, id)]
        return OperationBody.of(operation, operations.generations(transaction, id), told)
