"""`/v1/gateways`: what listeners report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from trustcast.storage.gateways import Report
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import own_gateway
from trustcast_api.once import use_of
from trustcast_api.principal import Principal
from trustcast_api.record_report import record_report
from trustcast_api.routes.changing import Key
from trustcast_api.schemas import ReportBody

router = APIRouter(prefix="/v1/gateways", tags=["gateways"], route_class=AskingFirst)


@router.post("/{name}/reports", summary="Report as a gateway", operation_id="reportAsGateway", status_code=204)
def report(
    body: ReportBody,
    gateway: Annotated[Principal, Depends(own_gateway)],
    here: Annotated[Context, Depends(context)],
    idempotency_key: Key = None,
) -> None:
    """Take a report."""
    told = Report(
        generation=body.generation,
        entries_sha256=body.entries_sha256,
        phase=body.phase,
        code=body.code,
        detail=body.detail,
    )
    record_report(
        here.database,
        told,
        gateway=gateway.gateway or "",
        environment=body.environment,
        at=here.now(),
        use=use_of(gateway, idempotency_key, "report", body.model_dump(mode="json")),
    )
