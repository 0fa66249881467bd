"""`/v1/tenants`: who owns APIs and certificates; the administrator's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from trustcast.storage import tenants
from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.change_tenant import PolicyChange, change_tenant
from trustcast_api.principal import Principal
from trustcast_api.routes.changing import Key, response
from trustcast_api.schemas_of_environments import TenantBody, TenantPage, TenantRequest

router = APIRouter(prefix="/v1/tenants", tags=["tenants"], route_class=AskingFirst)

Here = Annotated[Context, Depends(context)]
Administrator = Annotated[Principal, Depends(holding(scopes.ADMINISTER))]
Id = Annotated[int, Path(ge=-(2**31), lt=2**31)]


@router.get("", summary="List tenants", operation_id="listTenants")
def look(
    _who: Administrator,
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> TenantPage:
    """List the tenants, by domain."""
    with here.database.reading() as transaction:
        found, total = tenants.page(transaction, limit=limit, offset=offset)
    return TenantPage(
        tenants=[TenantBody.of(one, here.policy) for one in found], total=total, limit=limit, offset=offset
    )


@router.get("/{id}", summary="Describe a tenant", operation_id="getTenant")
def look_at(id: Id, _who: Administrator, here: Here) -> TenantBody:  # noqa: A002 - the name in the contract
    """Describe one tenant."""
    with here.database.reading() as transaction:
        return TenantBody.of(tenants.get(transaction, id), here.policy)


@router.put(
    "/{id}",
    summary="Create or edit a tenant",
    operation_id="putTenant",
    responses={201: {"model": TenantBody}},
    response_model=TenantBody,
)
def change(id: Id, body: TenantRequest, who: Administrator, here: Here, idempotency_key: Key = None) -> Response:  # noqa: A002
    """Create a tenant (201) or edit it (200); `carbon.super` has the id -1234, others a positive one.

    `policy` says what the tenant accepts, from the next upload on; what is trusted already stays.
    """
    answer = change_tenant(
        here.database,
        id,
        domain=body.domain,
        on_expiry=body.on_expiry,
        who=who,
        idempotency_key=idempotency_key,
        at=here.now(),
        policy=PolicyChange(body.policy.model_dump(exclude_unset=True) if body.policy else {}, here.policy),
    )
    return response(answer)
