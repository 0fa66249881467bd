"""`/v1/audit`: who did what, and who was refused; the administrator's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.list_audit import Filters, list_audit
from trustcast_api.principal import Principal
from trustcast_api.schemas import Name
from trustcast_api.schemas_of_audit import AuditPage

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=AskingFirst)


@router.get("", summary="List audit events", operation_id="listAuditEvents")
def look(
    _who: Annotated[Principal, Depends(holding(scopes.ADMINISTER))],
    here: Annotated[Context, Depends(context)],
    tenant: Name | None = None,
    actor: Name | None = None,
    action: Name | None = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """List what was done and what was refused, in every tenant or in that of one domain, oldest first."""
    filters = Filters(tenant=tenant, actor=actor, action=action)
    return AuditPage.of(list_audit(here.database, filters, after=after, limit=limit))
