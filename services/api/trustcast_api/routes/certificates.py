"""`/v1/certificates`: upload, replace, delete, look."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator
from starlette.concurrency import run_in_threadpool

from trustcast.domain import alias as aliases
from trustcast.domain.errors import NotFound
from trustcast.domain.operation import Kind
from trustcast_api import etags, scopes
from trustcast_api.accept_keystore import accept_keystore
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.content import MEDIA_TYPES, Form, content, form_of
from trustcast_api.describe_certificates import describe, describe_page
from trustcast_api.list_certificates import Filters, Sort, Status, list_certificates
from trustcast_api.principal import Principal
from trustcast_api.read_upload import Upload
from trustcast_api.reading.readings import KEYSTORE, NEW, REPLACING, Replacing
from trustcast_api.request import Request as Wanted
from trustcast_api.routes import form
from trustcast_api.routes.batches import answer_with_batch
from trustcast_api.routes.changing import IfMatch, Key
from trustcast_api.routes.dry_runs import answer_with_verdict, answer_with_verdicts
from trustcast_api.routes.operations import ACCEPTED, ADDED, Prefer, answer_with_operation
from trustcast_api.schemas import Moment, Name
from trustcast_api.schemas_of_batches import BatchBody
from trustcast_api.schemas_of_certificates import CertificateBody, CertificatePage
from trustcast_api.schemas_of_operations import OperationBody
from trustcast_api.schemas_of_usage import UsageBody
from trustcast_api.schemas_of_verdicts import VerdictBody, VerdictsBody
from trustcast_api.usage import usage

router = APIRouter(prefix="/v1/certificates", tags=["certificates"], route_class=AskingFirst)

Reader = Annotated[Principal, Depends(holding(scopes.READ_CERTIFICATES))]
Adder = Annotated[Principal, Depends(holding(scopes.ADD_CERTIFICATES))]
Updater = Annotated[Principal, Depends(holding(scopes.UPDATE_CERTIFICATES))]
Here = Annotated[Context, Depends(context)]


def _plain(value: object) -> object:
    """Of all that pydantic takes for a boolean, `yes` and `1` among them, these two are in the contract."""
    if value not in ("true", "false"):
        raise ValueError("true or false")
    return value


def _shown(body: type[BaseModel]) -> dict[str, Any]:
    """One of two bodies that an answer may have, as its example."""
    (example,) = body.model_json_schema()["examples"]
    return {"application/json": {"example": example}}


Flag = Annotated[bool, Query(), BeforeValidator(_plain)]
Force = Flag
_NEW: dict[int | str, dict[str, Any]] = {
    200: {
        "model": VerdictBody | VerdictsBody,
        "description": "With `dry_run=true`: what would come of it; of a key store, what of each entry.",
        "content": _shown(VerdictBody),
    },
    201: ADDED[201],
    202: {
        "model": OperationBody | BatchBody,
        "description": "Accepted; `Location` names the operation, or the batch that a key store is.",
        "content": _shown(OperationBody),
    },
}
_FILES = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()}


async def known(alias: Name) -> str:
    """No alias of ours is beyond ASCII, where several letters share a lower case (the Kelvin sign's is k)."""
    if not alias.isascii():
        raise NotFound("certificate_not_found", "There is no certificate with this alias; aliases are ASCII.")
    return alias


Alias = Annotated[str, Depends(known)]  # after who is asking: nobody else is told what is no alias


@router.post(
    "",
    summary="Add a certificate, or all in a key store",
    operation_id="addCertificate",
    status_code=202,
    responses=_NEW,
    openapi_extra=form.documented(form.NEW, required=("certificate",)),
)
async def upload(
    request: Request,
    who: Adder,
    here: Here,
    dry_run: Flag = False,  # noqa: FBT002 - the name in the contract
    idempotency_key: Key = None,
    prefer: Prefer = "",
) -> Response:
    """Ask for a certificate to be trusted; or for all in a key store, as a batch in which each is for itself.

    `alias` and `endpoint` are needed for a certificate. Each entry of a key store comes under its own alias, and
    without `endpoint` each is for the first host that it names. With `dry_run=true` nothing is asked for or stored.
    """
    request.state.dry_run = dry_run
    sent = await form.sent(request, form.NEW)
    wanted = await here.reader.read(NEW, sent, size=len(sent.body))
    if isinstance(wanted, Upload):
        lines = await here.batch_reader.read(KEYSTORE, wanted)
        if dry_run:
            return await answer_with_verdicts(here, lines, who=who)
        batch = await run_in_threadpool(accept_keystore, here, lines, who=who, idempotency_key=idempotency_key)
        return await answer_with_batch(here, batch, who=who)
    if dry_run:
        return await answer_with_verdict(here, wanted, who=who)
    return await answer_with_operation(here, wanted, who=who, key=idempotency_key, prefer=prefer)


@router.put(
    "/{alias}",
    summary="Replace a certificate",
    operation_id="replaceCertificate",
    status_code=202,
    responses=ACCEPTED,
    openapi_extra=form.documented(form.CONTENT),
)
async def replace(
    who: Updater,
    alias: Alias,
    request: Request,
    here: Here,
    force: Force = False,  # noqa: FBT002 - the name in the contract
    if_match: IfMatch = None,
    idempotency_key: Key = None,
    prefer: Prefer = "",
) -> Response:
    """Ask for another certificate to be trusted in the place of this one, without a moment in between.

    One that does not serve all the APIs that this one alone serves takes its place only with `force=true`.
    """
    expected = etags.wanted(if_match)
    sent = await form.sent(request, form.CONTENT)
    asked = Replacing(form=sent, alias=alias, if_match=expected, force=force)
    wanted = await here.reader.read(REPLACING, asked, size=len(sent.body))
    return await answer_with_operation(here, wanted, who=who, key=idempotency_key, prefer=prefer)


@router.delete(
    "/{alias}", summary="Delete a certificate", operation_id="deleteCertificate", status_code=202, responses=ACCEPTED
)
async def delete(
    who: Updater,
    alias: Alias,
    here: Here,
    force: Force = False,  # noqa: FBT002 - the name in the contract
    if_match: IfMatch = None,
    idempotency_key: Key = None,
    prefer: Prefer = "",
) -> Response:
    """Ask for a certificate to be trusted no longer; one that APIs need goes only with `force=true`."""
    wanted = Wanted(kind=Kind.DELETE, alias=alias, force=force, if_match=etags.wanted(if_match))
    return await answer_with_operation(here, wanted, who=who, key=idempotency_key, prefer=prefer)


@router.get("", summary="List certificates", operation_id="listCertificates")
def look(  # noqa: PLR0913, PLR0917 - each is a filter, given by name
    who: Reader,
    here: Here,
    alias: Name | None = None,
    alias_contains: Name | None = None,
    endpoint: str | None = None,
    status: Status | None = None,
    expires_before: Moment | None = None,
    sort: Sort = Sort.ALIAS,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> CertificatePage:
    """List what is trusted; with `status=pending` what is on its way. `endpoint` compares hosts, and ports it names."""
    at = here.now()
    filters = Filters(
        alias=alias, alias_contains=alias_contains, endpoint=endpoint, status=status, expires_before=expires_before
    )
    found, total = list_certificates(
        here.database, who.tenant_id, filters, sort=sort, limit=limit, offset=offset, at=at
    )
    bodies = describe_page(here.database, who.tenant_id, found, status=status, at=at)
    return CertificatePage(certificates=bodies, total=total, limit=limit, offset=offset)


@router.get("/{alias}", summary="Describe a certificate", operation_id="getCertificate")
def look_at(who: Reader, alias: Alias, here: Here, response: Response) -> CertificateBody:
    """Describe one certificate. Its `ETag` serves in `If-Match`."""
    body = describe(here.database, who.tenant_id, alias, at=here.now())
    response.headers["ETag"] = etags.of(body.fingerprint_sha256)
    return body


@router.get(
    "/{alias}/content",
    summary="Download a certificate",
    operation_id="downloadCertificate",
    response_class=Response,
    responses={200: {"content": _FILES}},
)
def download(
    who: Reader,
    alias: Alias,
    here: Here,
    format: Form | None = None,  # noqa: A002 - the name in the contract
    accept: Annotated[str, Header(max_length=1000)] = "*/*",
) -> Response:
    """Give one certificate as a file: as `format` says, else as `Accept` does.

    A chain has its issuers among those that came with it or are trusted, and ends with what else came with it.
    """
    file = content(here.database, who.tenant_id, aliases.key(alias), format or form_of(accept))
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Vary": "Accept"}
    return Response(file.data, media_type=file.media_type, headers=headers)


@router.get("/{alias}/usage", summary="Show who uses a certificate", operation_id="getCertificateUsage")
def look_at_usage(who: Reader, alias: Alias, here: Here) -> UsageBody:
    """Tell which APIs one certificate serves, where it goes, and which gateways have it."""
    return UsageBody.of(usage(here.database, who.tenant_id, aliases.key(alias)))
