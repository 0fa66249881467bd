"""`/api/am/publisher/{v1…v4}/endpoint-certificates`: API Manager 3.0 and later."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from trustcast.domain.errors import NotFound
from trustcast_api import scopes
from trustcast_api.app_context import Context
from trustcast_api.auth import holding
from trustcast_api.principal import Principal
from trustcast_api.publisher import changes, errors, form, looks
from trustcast_api.publisher.bodies import Certificates, Information, Metadata, Pagination, Usage
from trustcast_api.publisher.looks import Wanted
from trustcast_api.publisher.pages import Page
from trustcast_api.publisher.parameters import DEFAULT_LIMIT, DOWNLOAD, ERRORS, Here, Limit, Offset
from trustcast_api.routes.changing import Key
from trustcast_api.routes.form import documented

_VERSIONS: Final = ("v1", "v2", "v3", "v4")
_PATH: Final = "/endpoint-certificates"
Reader = Annotated[Principal, Depends(holding(scopes.READ_CERTIFICATES))]
Adder = Annotated[Principal, Depends(holding(scopes.ADD_CERTIFICATES))]
Updater = Annotated[Principal, Depends(holding(scopes.UPDATE_CERTIFICATES))]


async def _of_known_version(
    here: Here, version: Annotated[str, Path(json_schema_extra={"enum": list(_VERSIONS)})]
) -> Context:
    if version not in _VERSIONS:
        raise NotFound("not_found", "There is nothing at this address.")
    return here


There = Annotated[Context, Depends(_of_known_version)]  # after who is asking


router = APIRouter(
    prefix=f"{errors.ROOT}/{{version}}{_PATH}",
    tags=["publisher"],
    responses=ERRORS,
)


@router.post(
    "",
    summary="Add an endpoint certificate",
    operation_id="addEndpointCertificate",
    status_code=201,
    response_model=Metadata,
    openapi_extra=documented(form.NEW),
)
async def upload(request: Request, who: Adder, here: There, idempotency_key: Key = None) -> Response:
    """Have a certificate trusted. The answer has the endpoint as it was sent, as theirs does; lists, in normal form."""
    return await changes.add(here, request, who=who, key=idempotency_key)


@router.put(
    "/{alias}",
    summary="Replace an endpoint certificate",
    operation_id="replaceEndpointCertificate",
    response_model=Metadata,
    openapi_extra=documented(form.REPLACEMENT),
)
async def replace(alias: str, request: Request, who: Updater, here: There, idempotency_key: Key = None) -> Response:
    """Have another certificate trusted in the place of one, for the same endpoint."""
    return await changes.replace(here, alias, request, who=who, key=idempotency_key)


@router.delete(
    "/{alias}",
    summary="Delete an endpoint certificate",
    operation_id="deleteEndpointCertificate",
    response_class=Response,
)
async def delete(alias: str, request: Request, who: Updater, here: There, idempotency_key: Key = None) -> Response:
    """Have a certificate trusted no longer, whoever uses it."""
    return await changes.delete(here, alias, request, who=who, key=idempotency_key)


@router.get("", summary="List endpoint certificates", operation_id="listEndpointCertificates")
def look(
    who: Reader,
    here: There,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    alias: str | None = None,
    endpoint: str | None = None,
) -> Certificates:
    """List what is trusted, by alias; `endpoint` finds by host."""
    wanted = Wanted(limit=limit, offset=offset, alias=alias, endpoint=endpoint)
    found, total = looks.find(here, who, wanted)
    return Certificates.of(found, wanted.page(_PATH, total))


@router.get("/{alias}", summary="Describe an endpoint certificate", operation_id="getEndpointCertificate")
def look_at(alias: str, who: Reader, here: There) -> Information:
    """Tell what a certificate says of itself."""
    return Information.of(looks.get(here, who, alias), at=here.now())


@router.get(
    "/{alias}/content",
    summary="Download an endpoint certificate",
    operation_id="downloadEndpointCertificate",
    response_class=Response,
    responses=DOWNLOAD,
)
def download(alias: str, who: Reader, here: There) -> Response:
    """Give the certificate in DER."""
    return looks.download(looks.get(here, who, alias))


@router.get(
    "/{alias}/usage",
    summary="List the APIs that use an endpoint certificate",
    operation_id="getEndpointCertificateUsage",
)
def usage(alias: str, who: Reader, here: There, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> Usage:
    """List the APIs that need a certificate; none for an unknown alias."""
    users = looks.users(here, who, alias)
    page = Page(path=f"{_PATH}/{alias}/usage", limit=limit, offset=offset, total=len(users))
    shown = users[offset : offset + limit]
    return Usage(count=len(shown), list=shown, pagination=Pagination.of(page))
