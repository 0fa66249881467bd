"""`/v1/certificates`: upload, delete, look."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.datastructures import UploadFile

from trustcast.domain import alias as aliases
from trustcast.domain.errors import NotFound, Rejected
from trustcast.storage import certificates, truststores
from trustcast.storage.operations import Kind
from trustcast_api import accept_request, scopes
from trustcast_api.app_context import Context, context
from trustcast_api.auth import holding
from trustcast_api.await_operation import accept
from trustcast_api.list_certificates import Filters, Status, list_certificates
from trustcast_api.principal import Principal
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.read_upload import Upload, read_upload
from trustcast_api.routes.operations import answer_with_operation
from trustcast_api.schemas import CertificateBody, CertificatePage, Moment, Name

router = APIRouter(prefix="/v1/certificates", tags=["certificates"])

_FIELDS = ("alias", "endpoint", "certificate", "ca")
Reader = Annotated[Principal, Depends(holding(scopes.READ_CERTIFICATES))]
Adder = Annotated[Principal, Depends(holding(scopes.ADD_CERTIFICATES))]
Updater = Annotated[Principal, Depends(holding(scopes.UPDATE_CERTIFICATES))]
Here = Annotated[Context, Depends(context)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
Prefer = Annotated[str, Header(max_length=255)]


@router.post("", status_code=202)
async def upload(
    request: Request, who: Adder, here: Here, idempotency_key: Key = None, prefer: Prefer = ""
) -> Response:
    """Ask for a certificate to be trusted."""
    wanted = read_upload(await _upload(request))
    return await _accept(here, wanted, who, idempotency_key, prefer)


@router.delete("/{alias}", status_code=202)
async def delete(alias: Name, who: Updater, here: Here, idempotency_key: Key = None, prefer: Prefer = "") -> Response:
    """Ask for a certificate to be trusted no longer."""
    wanted = accept_request.Request(kind=Kind.DELETE, alias=_of_our_form(alias))
    return await _accept(here, wanted, who, idempotency_key, prefer)


@router.get("")
def look(
    who: Reader,
    here: Here,
    alias: Name | None = None,
    endpoint: str | None = None,
    status: Status | None = None,
    expires_before: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> CertificatePage:
    """List what is trusted, by alias."""
    at = here.now()
    filters = Filters(alias=alias, endpoint=endpoint, status=status, expires_before=expires_before)
    found, total = list_certificates(here.database, who.tenant_id, filters, limit=limit, offset=offset, at=at)
    environments = _environments(here)
    bodies = [CertificateBody.of(one, environments=environments, at=at) for one in found]
    return CertificatePage(certificates=bodies, total=total, limit=limit, offset=offset)


@router.get("/{alias}")
def look_at(alias: Name, who: Reader, here: Here) -> CertificateBody:
    """Describe one certificate."""
    with here.database.reading() as transaction:
        one = certificates.get(transaction, who.tenant_id, aliases.key(_of_our_form(alias)))
    return CertificateBody.of(one, environments=_environments(here), at=here.now())


def _of_our_form(alias: str) -> str:
    """No alias of ours is beyond ASCII, where several letters share a lower case (the Kelvin sign's is k)."""
    if not alias.isascii():
        raise NotFound("certificate_not_found", "There is no certificate with this alias; aliases are ASCII.")
    return alias


async def _accept(
    here: Context, wanted: accept_request.Request, who: Principal, key: str | None, prefer: str
) -> Response:
    operation = await accept(here, wanted, who=who, idempotency_key=key)
    return await answer_with_operation(here, operation, prefer)


async def _upload(request: Request) -> Upload:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError(
            "content_type", "Send the fields alias, endpoint and certificate as multipart/form-data."
        )
    try:
        fields = await _form(request)
        if isinstance(fields.get("certificate"), str):
            fields["certificate"] = fields["certificate"].encode()
    except UnicodeError:
        raise Rejected("charset", "Send the fields in UTF-8.") from None
    for name in _FIELDS:
        if name != "certificate" and isinstance(fields.get(name), bytes):
            raise Rejected("field_invalid", "Send this field as text, not as a file.", field=name)
    return Upload(**fields)


async def _form(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    async with request.form(max_files=len(_FIELDS), max_fields=len(_FIELDS)) as form:
        for name, value in form.multi_items():
            if name not in _FIELDS:
                raise Rejected("field_unknown", "There are the fields alias, endpoint, certificate and ca, no others.")
            if name in fields:
                raise Rejected("field_repeated", "Send this field once.", field=name)
            fields[name] = await value.read() if isinstance(value, UploadFile) else value
    return fields


def _environments(here: Context) -> list[str]:
    with here.database.reading() as transaction:
        return truststores.environments(transaction)
