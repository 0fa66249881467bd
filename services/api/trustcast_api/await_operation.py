"""Take a request in and see how it ends: what every mutating route and the Publisher-compatible faces do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from trustcast.storage import operations
from trustcast_api.accept_request import Asked

if TYPE_CHECKING:
    from trustcast.storage.operations import Operation
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal
    from trustcast_api.request import Request

log = structlog.get_logger("trustcast.api")


async def accept(here: Context, request: Request, *, who: Principal, idempotency_key: str | None = None) -> Operation:
    """Write the request down, have the worker woken, and return the operation. Raises what `accept_request` raises."""
    operation = await here.together.accept(Asked(request, who, idempotency_key))
    log.info("accepted", operation=operation.id, kind=operation.kind, requested_by=who.name)
    return operation


async def ended(here: Context, operation: Operation, *, seconds: float) -> Operation:
    """Return the operation as it stands once it has ended, or after `seconds`, whatever its state is then.

    Raises `Unavailable`; the operation stays accepted all the same.
    """
    await here.endings.wait(operation.id, seconds=seconds)
    return await run_in_threadpool(_read, here, operation)


def _read(here: Context, operation: Operation) -> Operation:
    with here.database.reading() as transaction:
        return operations.get(transaction, operation.tenant_id, operation.id)
