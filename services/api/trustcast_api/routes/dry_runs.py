"""Answer with what uploads would come to (`dry_run=true`): a verdict, or the problem that they would end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import TrustcastError
from trustcast_api.judge_upload import Verdict, judge_uploads
from trustcast_api.schemas_of_verdicts import RefusalBody, VerdictBody, VerdictsBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fastapi import Response

    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal
    from trustcast_api.request import Line, Request


async def answer_with_verdict(here: Context, wanted: Request, *, who: Principal) -> Response:
    """Answer 200 with what would be granted. Raises why it would be refused."""
    return JSONResponse(await run_in_threadpool(_verdict, here, wanted, who))


async def answer_with_verdicts(here: Context, lines: Sequence[Line], *, who: Principal) -> Response:
    """Answer 200 with one verdict for each entry of a key store."""
    return JSONResponse(await run_in_threadpool(_verdicts, here, lines, who))


def _verdict(here: Context, wanted: Request, who: Principal) -> dict[str, Any]:
    at = here.now()
    (found,) = _judged(here, [wanted], who, at)
    if isinstance(found, TrustcastError):
        raise found
    return VerdictBody.of(found, at=at).model_dump(mode="json")


def _verdicts(here: Context, lines: Sequence[Line], who: Principal) -> dict[str, Any]:
    at = here.now()
    judged = iter(_judged(here, [one.request for one in lines if one.request is not None], who, at))
    fates = [(one.alias, one.problem or next(judged)) for one in lines]
    bodies = [
        VerdictBody.of(fate, at=at) if isinstance(fate, Verdict) else RefusalBody.of(alias, fate)
        for alias, fate in fates
    ]
    return VerdictsBody(verdicts=bodies).model_dump(mode="json")


def _judged(here: Context, wanted: Sequence[Request], who: Principal, at: datetime) -> list[Verdict | TrustcastError]:
    return judge_uploads(
        here.database,
        wanted,
        who=who,
        at=at,
        policy=here.policy,
        unregistered=here.settings.unregistered_endpoints,
        most_scheduled=here.settings.scheduled_per_tenant,
    )
