"""`/api/am/publisher/v0.14/certificates`: API Manager 2.6, whose clients hold one scope for everything."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from trustcast_api import scopes
from trustcast_api.auth import holding
from trustcast_api.principal import Principal
from trustcast_api.publisher import changes, errors, form, looks
from trustcast_api.publisher.bodies import Information, Metadata, PlainCertificates
from trustcast_api.publisher.looks import Wanted
from trustcast_api.publisher.parameters import DEFAULT_LIMIT, DOWNLOAD, ERRORS, Here, Limit, Offset
from trustcast_api.routes.changing import Key
from trustcast_api.routes.form import documented

_PATH: Final = "/certificates"
Creator = Annotated[Principal, Depends(holding(scopes.PUBLISHER_2_6))]

router = APIRouter(prefix=f"{errors.ROOT}/v0.14{_PATH}", tags=["publisher"], responses=ERRORS)


@router.post(
    "",
    summary="Add a certificate (2.6)",
    operation_id="addCertificateV014",
    status_code=201,
    response_model=Metadata,
    openapi_extra=documented(form.NEW),
)
async def upload(request: Request, who: Creator, here: Here, idempotency_key: Key = None) -> Response:
    """Have a certificate trusted. The answer has the endpoint as it was sent, as theirs does; lists, in normal form."""
    return await changes.add(here, request, who=who, key=idempotency_key)


@router.put(
    "/{alias}",
    summary="Replace a certificate (2.6)",
    operation_id="replaceCertificateV014",
    response_model=Metadata,
    openapi_extra=documented(form.REPLACEMENT),
)
async def replace(alias: str, request: Request, who: Creator, here: Here, idempotency_key: Key = None) -> Response:
    """Have another certificate trusted in the place of one, for the same endpoint."""
    return await changes.replace(here, alias, request, who=who, key=idempotency_key)


@router.delete(
    "/{alias}", summary="Delete a certificate (2.6)", operation_id="deleteCertificateV014", response_class=Response
)
async def delete(alias: str, request: Request, who: Creator, here: Here, idempotency_key: Key = None) -> Response:
    """Have a certificate trusted no longer, whoever uses it."""
    return await changes.delete(here, alias, request, who=who, key=idempotency_key)


@router.get("", summary="List certificates (2.6)", operation_id="listCertificatesV014")
def look(
    who: Creator,
    here: Here,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    alias: str | None = None,
    endpoint: str | None = None,
) -> PlainCertificates:
    """List what is trusted, by alias; `endpoint` finds by host."""
    wanted = Wanted(limit=limit, offset=offset, alias=alias, endpoint=endpoint)
    found, total = looks.find(here, who, wanted)
    return PlainCertificates.of(found, wanted.page(_PATH, total))


@router.get("/{alias}", summary="Describe a certificate (2.6)", operation_id="getCertificateV014")
def look_at(alias: str, who: Creator, here: Here) -> Information:
    """Tell what a certificate says of itself."""
    return Information.of(looks.get(here, who, alias), at=here.now())


@router.get(
    "/{alias}/content",
    summary="Download a certificate (2.6)",
    operation_id="downloadCertificateV014",
    response_class=Response,
    responses=DOWNLOAD,
)
def download(alias: str, who: Creator, here: Here) -> Response:
    """Give the certificate in DER."""
    return looks.download(looks.get(here, who, alias))
