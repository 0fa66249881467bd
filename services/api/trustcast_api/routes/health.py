"""`/healthz`: the process is alive. `/readyz`: database and broker answer, too."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends

from trustcast.domain.errors import Unavailable
from trustcast.storage import migrate
from trustcast_api.app_context import Context, context

log = structlog.get_logger("trustcast.api")
router = APIRouter(tags=["health"])


def _says(status: str) -> dict[str, Any]:
    return {"content": {"application/json": {"example": {"status": status}}}}


@router.get(
    "/healthz", summary="Tell whether the process lives", operation_id="getHealth", responses={200: _says("alive")}
)
async def healthz() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Tell whether requests can be accepted",
    operation_id="getReadiness",
    responses={200: _says("ready")},
)
def readyz(here: Annotated[Context, Depends(context)]) -> dict[str, str]:
    """Answer 200 when uploads can be accepted and passed on, else the problem that names what is missing."""
    try:
        migrate.check(here.database)
        here.broker.ping()
    except Unavailable as error:
        # Everybody may ask, so the answer names the part, and only the log what that part said.
        log.warning("not_ready", code=error.code, detail=error.detail)
        part = error.detail.partition(":")[0].rstrip(".")
        raise Unavailable(error.code, f"{part}; the api's log says more.") from None
    return {"status": "ready"}
