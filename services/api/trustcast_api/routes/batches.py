"""`/v1/certificates/bulk` and `/v1/batches`: many certificates in one body, and what became of each line."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from trustcast.storage import batches
from trustcast_api import problems, scopes
from trustcast_api.accept_bulk import BrokenOffError, accept_bulk
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.body_limit import BULK
from trustcast_api.cancel_batch import cancel_batch
from trustcast_api.principal import Principal
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.routes.changing import Key
from trustcast_api.schemas import Name
from trustcast_api.schemas_of_batches import BatchBody, BatchPage, BatchSummary

router = APIRouter(tags=["batches"], route_class=AskingFirst)

Adder = Annotated[Principal, Depends(holding(scopes.ADD_CERTIFICATES))]
Reader = Annotated[Principal, Depends(holding(scopes.READ_OPERATIONS))]
Here = Annotated[Context, Depends(context)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, lt=2**31)]

KINDS = ("application/x-ndjson", "application/jsonl", "application/json-lines")
_LINE = '{"alias": "billing", "endpoint": "https://billing.example:8443", "certificate": "MIIB…", "ca": false}\n'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One JSON object a line: up to 10,000 lines of up to 256 KB each, 64 MB in all.",
        "content": {KINDS[0]: {"schema": {"type": "string"}, "example": _LINE}},
    }
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": BatchBody, "description": "Every line is on record; `Location` names the batch."}
}


@router.post(
    BULK[1],
    summary="Add many certificates",
    operation_id="addCertificates",
    status_code=202,
    responses=_ACCEPTED,
    openapi_extra=_BODY,
)
async def add(request: Request, who: Adder, here: Here, idempotency_key: Key = None) -> Response:
    """Ask for many certificates to be trusted: each line is a request of its own, and a bad one stops no other.

    Lines are taken while they arrive. With an `Idempotency-Key` a body that broke off goes on where it stopped when it
    is sent again, from its beginning.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise UnsupportedMediaError("content_type", f"Send one JSON object a line, as {KINDS[0]}.")
    try:
        batch = await accept_bulk(here, request, who=who, idempotency_key=idempotency_key)
    except BrokenOffError as broken_off:
        return _broken_off(broken_off)
    return await answer_with_batch(here, batch, who=who)


@router.get("/v1/batches", summary="List batches", operation_id="listBatches")
def look(who: Reader, here: Here, limit: Limit = 100, offset: Offset = 0) -> BatchPage:
    """List batches, the newest first; GET one of them also tells what became of its lines."""
    with here.database.reading() as transaction:
        found, total = batches.page(transaction, who.tenant_id, limit=limit, offset=offset)
    return BatchPage(batches=[BatchSummary.of(one) for one in found], total=total, limit=limit, offset=offset)


@router.get("/v1/batches/{id}", summary="Describe a batch", operation_id="getBatch")
def look_at(id: Name, who: Reader, here: Here, limit: Limit = 100, offset: Offset = 0) -> BatchBody:  # noqa: A002
    """Count a batch's lines by state, and list those that came to nothing."""
    return _body(here, who, id, limit=limit, offset=offset)


@router.post("/v1/batches/{id}/cancel", summary="Cancel what is left of a batch", operation_id="cancelBatch")
def cancel(id: Name, who: Adder, here: Here, idempotency_key: Key = None) -> BatchBody:  # noqa: A002
    """Call off what has not been applied yet: these lines end as rejected, with the code `cancelled`.

    What is applied stays. Where the body is still being sent, no more of its lines are taken.
    """
    answer = cancel_batch(here.database, id, who=who, idempotency_key=idempotency_key, at=here.now())
    return BatchBody.model_validate(answer.body)


async def answer_with_batch(here: Context, batch: batches.Batch, *, who: Principal) -> Response:
    """Answer 202 with the batch as it stands."""
    body = await run_in_threadpool(_body, here, who, batch.id, limit=100, offset=0)
    return JSONResponse(body.model_dump(mode="json"), HTTPStatus.ACCEPTED, _location(batch))


def _body(here: Context, who: Principal, id: str, *, limit: int, offset: int) -> BatchBody:  # noqa: A002
    with here.database.reading() as transaction:
        found = batches.get(transaction, who.tenant_id, id)
        counts = batches.counts(transaction, id)
        wrong, total = batches.problems(transaction, id, limit=limit, offset=offset)
    return BatchBody.told(found, counts, wrong, total, limit=limit, offset=offset)


def _broken_off(error: BrokenOffError) -> Response:
    """The answer names the batch, where there is one: what was taken goes on."""
    slow = error.cause.code == "body_too_slow"
    status = HTTPStatus.REQUEST_TIMEOUT if slow else HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    headers = {"Connection": "close"} if slow else {}
    told = problems.problem(status, error.cause.code, error.cause.detail)
    if error.batch is None:
        return problems.answer(told, headers)
    return problems.answer(told | {"batch": error.batch.id}, headers | _location(error.batch))


def _location(batch: batches.Batch) -> dict[str, str]:
    return {"Location": f"/v1/batches/{batch.id}"}
