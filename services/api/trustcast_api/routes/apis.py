"""`/v1/apis`: the published APIs, whose endpoints say which environments a certificate belongs in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from trustcast.storage import apis
from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding, holding_without_bounds
from trustcast_api.change_api import change_api
from trustcast_api.list_apis import Filters, list_apis
from trustcast_api.principal import Principal
from trustcast_api.register_api import register_api
from trustcast_api.remove_api import remove_api
from trustcast_api.routes.changing import Key, response
from trustcast_api.schemas import Name
from trustcast_api.schemas_of_apis import ApiBody, ApiPage, ApiRequest

router = APIRouter(prefix="/v1/apis", tags=["apis"], route_class=AskingFirst)

Here = Annotated[Context, Depends(context)]
Reader = Annotated[Principal, Depends(holding(scopes.READ_APIS))]
Writer = Annotated[Principal, Depends(holding_without_bounds(scopes.WRITE_APIS))]
Deleter = Annotated[Principal, Depends(holding_without_bounds(scopes.DELETE_APIS))]


@router.post("", summary="Register an API", operation_id="registerApi", status_code=201, response_model=ApiBody)
def register(body: ApiRequest, who: Writer, here: Here, idempotency_key: Key = None) -> Response:
    """Register an API."""
    answer = register_api(here.database, body.published(), who=who, idempotency_key=idempotency_key, at=here.now())
    here.drainer.wake()
    return response(answer)


@router.get("", summary="List APIs", operation_id="listApis")
def look(  # noqa: PLR0913, PLR0917 - each is a filter, and FastAPI names them
    who: Reader,
    here: Here,
    name: Name | None = None,
    version: Name | None = None,
    context: Name | None = None,
    provider: Name | None = None,
    type: Name | None = None,  # noqa: A002 - the name in the contract
    endpoint: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> ApiPage:
    """List APIs by name and version; `name` is looked for within names, `endpoint` compares hosts."""
    filters = Filters(name=name, version=version, context=context, provider=provider, type=type, endpoint=endpoint)
    found, total = list_apis(here.database, who.tenant_id, filters, limit=limit, offset=offset)
    return ApiPage(apis=[ApiBody.of(one) for one in found], total=total, limit=limit, offset=offset)


@router.get("/{id}", summary="Describe an API", operation_id="getApi")
def look_at(id: Name, who: Reader, here: Here) -> ApiBody:  # noqa: A002 - the name in the contract
    """Describe one API."""
    with here.database.reading() as transaction:
        return ApiBody.of(apis.get(transaction, who.tenant_id, id))


@router.put("/{id}", summary="Change an API", operation_id="changeApi", response_model=ApiBody)
def change(id: Name, body: ApiRequest, who: Writer, here: Here, idempotency_key: Key = None) -> Response:  # noqa: A002
    """Give an API other values; all of them, as at its registration."""
    answer = change_api(here.database, id, body.published(), who=who, idempotency_key=idempotency_key, at=here.now())
    here.drainer.wake()
    return response(answer)


@router.delete("/{id}", summary="Remove an API", operation_id="removeApi", status_code=204)
def remove(id: Name, who: Deleter, here: Here, idempotency_key: Key = None) -> Response:  # noqa: A002
    """Forget an API; its backends' certificates stay."""
    answer = remove_api(here.database, id, who=who, idempotency_key=idempotency_key, at=here.now())
    here.drainer.wake()
    return response(answer)
