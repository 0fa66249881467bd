"""`/healthz`: the process is alive. `/readyz`: database and broker answer, too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from trustcast.storage import migrate
from trustcast_api.app_context import Context, context

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(here: Annotated[Context, Depends(context)]) -> dict[str, str]:
    """Answer 200 when uploads can be accepted and passed on, else the problem that names what is missing."""
    migrate.check(here.database)
    here.broker.ping()
    return {"status": "ready"}
