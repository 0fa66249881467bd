"""Take a request in and see how it ends: what every mutating route and the Publisher-compatible faces do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from trustcast.storage import operations
from trustcast.storage.operations import ENDED, Operation
from trustcast_api.accept_request import accept_request

if TYPE_CHECKING:
    from trustcast_api.accept_request import Request
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal

log = structlog.get_logger("trustcast.api")

_LOOK_EVERY_SECONDS = 0.02


async def accept(here: Context, request: Request, *, who: Principal, idempotency_key: str | None = None) -> Operation:
    """Write the request down, have the worker woken, and return the operation. Raises what `accept_request` raises."""
    operation = await run_in_threadpool(
        accept_request,
        here.database,
        request,
        who=who,
        idempotency_key=idempotency_key,
        at=here.now(),
        unregistered=here.settings.unregistered_endpoints,
    )
    here.drainer.wake()
    log.info("accepted", operation=operation.id, kind=operation.kind, requested_by=who.name)
    return operation


async def ended(here: Context, operation: Operation, *, seconds: float) -> Operation:
    """Return the operation as it stands once it has ended, or after `seconds`, whatever its state is then.

    Raises `Unavailable`; the operation stays accepted all the same. The verdict falls in another process and hints may
    be lost: this looks at the truth.
    """
    until = time.monotonic() + seconds
    while True:
        now = await run_in_threadpool(_read, here, operation)
        if now.state in ENDED or time.monotonic() >= until:
            return now
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _read(here: Context, operation: Operation) -> Operation:
    with here.database.reading() as transaction:
        return operations.get(transaction, operation.tenant_id, operation.id)
