"""`/v1/certificates/{alias}/rotation`: the next certificate beside the old one, until the old one can go."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from trustcast_api import rotate
from trustcast_api.asking_first import AskingFirst
from trustcast_api.reading.readings import ROTATING, Rotating
from trustcast_api.routes import form
from trustcast_api.routes.certificates import Alias, Force, Here, Reader, Updater
from trustcast_api.routes.changing import Key
from trustcast_api.routes.operations import ACCEPTED, ADDED, Prefer, answer_with_operation
from trustcast_api.schemas_of_rotations import RotationBody

router = APIRouter(prefix="/v1/certificates/{alias}/rotation", tags=["certificates"], route_class=AskingFirst)


@router.post(
    "",
    summary="Begin a rotation",
    operation_id="beginRotation",
    status_code=202,
    responses=ADDED,
    openapi_extra=form.documented(form.CONTENT),
)
async def begin(
    who: Updater, alias: Alias, request: Request, here: Here, idempotency_key: Key = None, prefer: Prefer = ""
) -> Response:
    """Ask for the next certificate to be trusted beside this one, under the alias `{alias}.next`."""
    sent = await form.sent(request, form.CONTENT)
    wanted = await here.reader.read(ROTATING, Rotating(sent, alias), size=len(sent.body))
    return await answer_with_operation(here, wanted, who=who, key=idempotency_key, prefer=prefer)


@router.get("", summary="Describe a rotation", operation_id="getRotation")
def look(who: Reader, alias: Alias, here: Here) -> RotationBody:
    """Describe a rotation that is under way, and which gateways have the next certificate."""
    return RotationBody.of(rotate.describe(here.database, who.tenant_id, alias), at=here.now())


@router.post("/finish", summary="Finish a rotation", operation_id="finishRotation", status_code=202, responses=ACCEPTED)
async def finish(
    who: Updater,
    alias: Alias,
    here: Here,
    force: Force = False,  # noqa: FBT002 - the name in the contract
    idempotency_key: Key = None,
    prefer: Prefer = "",
) -> Response:
    """Let the next certificate take this one's place, once every gateway has it.

    If it does not serve all the APIs that this one alone serves, only with `force=true`.
    """
    wanted = rotate.finish(alias, force=force)
    return await answer_with_operation(here, wanted, who=who, key=idempotency_key, prefer=prefer)


@router.post("/cancel", summary="Cancel a rotation", operation_id="cancelRotation", status_code=202, responses=ACCEPTED)
async def cancel(who: Updater, alias: Alias, here: Here, idempotency_key: Key = None, prefer: Prefer = "") -> Response:
    """Let the next certificate go; this one stays."""
    return await answer_with_operation(here, rotate.cancel(alias), who=who, key=idempotency_key, prefer=prefer)
