"""Call off what is left of a batch: what has not been applied yet, and lines that are still to come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trustcast.storage import audit, batches, closing, operations, truststores, unended
from trustcast_api.accept_batch import CALLED_OFF
from trustcast_api.accept_request import Asked
from trustcast_api.cancel_operation import CANCELLED
from trustcast_api.once import Answer, once, use_of
from trustcast_api.request import Request
from trustcast_api.schemas_of_batches import BatchBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.batches import Batch
    from trustcast.storage.operations import Operation
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal

_TOLD = 100


def cancel_batch(
    database: Database,
    id: str,  # noqa: A002 - the field's name
    *,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
) -> Answer:
    """Return 200 with the batch: its lines that had not been applied are rejected as `cancelled`.

    Of one whose lines are still being sent, or were when the body broke off, no more are taken. It is for whoever may
    ask for all that would be called off. Raises `NotFound("batch_not_found")`, `ForbiddenError`, `KeyReusedError`,
    `Unavailable`.
    """

    def work(transaction: Connection) -> Answer:
        truststores.hold_all(transaction)  # or something may be applied at the same time
        batch = _closed(transaction, who.tenant_id, id)
        called_off = unended.of(transaction, batches.operations_of(id))
        _check_allowed(called_off, who)
        # One that was validated meanwhile is called off all the same; one that was refused has its reason.
        ended = closing.call_off(transaction, batches.operations_of(id), operations.problem(CANCELLED))
        gone = [one for one in called_off if one.id in ended]
        if gone:
            events = [audit.AuditEvent("operation.cancelled", who.actor, one.named() | {"batch": id}) for one in gone]
            audit.append(transaction, events, at=at)
            closing.forget_bytes(transaction, gone)
        counts = batches.counts(transaction, id)
        wrong, total = batches.problems(transaction, id, limit=_TOLD, offset=0)
        body = BatchBody.told(batch, counts, wrong, total, limit=_TOLD, offset=0)
        return Answer(200, body.model_dump(mode="json"))

    return once(database, use_of(who, idempotency_key, "cancel_batch", id), work, at=at)


def _closed(transaction: Connection, tenant_id: int, id: str) -> Batch:  # noqa: A002
    """Return the batch, to which nobody adds lines any more."""
    while not (found := batches.get(transaction, tenant_id, id)).complete:
        closed = replace(found, complete=True, problem=operations.problem(CALLED_OFF))
        if batches.advance(transaction, found, closed):
            return closed
        # More of its lines were written down between the two looks.
    return found


def _check_allowed(called_off: Sequence[Operation], who: Principal) -> None:
    for one in called_off:
        refusal = Asked(Request(kind=one.kind, alias=one.alias, rotation=one.rotation), who).refusal()
        if refusal is not None:
            raise refusal
