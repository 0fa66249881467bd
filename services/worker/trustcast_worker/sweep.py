"""Find what a lost message, a killed process or an emptied broker left behind, and wake somebody for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trustcast.domain.messages import OperationAccepted, OperationValidated
from trustcast.domain.operation import State
from trustcast.storage import audit, closing, idempotency, outbox, routing, truststores, unended
from trustcast_worker.validate_uploads import ATTEMPTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.session import Database

OVERDUE_AFTER = timedelta(seconds=2)
FORGET_EVERY = timedelta(hours=1)
_WAKE: dict[State, type[OperationAccepted | OperationValidated]] = {
    State.RECEIVED: OperationAccepted,
    State.VALIDATED: OperationValidated,
}


def sweep(database: Database, *, at: datetime) -> None:
    """End what used up its attempts, owe a wake-up for what is overdue, forget old keys. Raises `Unavailable`.

    Reads first: in the usual case there is nothing to do and nothing is written.
    """
    with database.reading() as transaction:
        quiet = not any(_overdue(transaction, state, at) for state in _WAKE)
        # Later than their time, so that they go in one batch an hour and not a few with every sweep.
        stale = idempotency.any_older(transaction, than=at - idempotency.KEPT - FORGET_EVERY)
    if stale:
        _forget_keys(database, at)
    if quiet:
        return
    with database.writing() as transaction:
        truststores.hold_all(transaction)  # or what is ended here may be applied elsewhere at the same time
        for state, message in _WAKE.items():
            _give_up(transaction, state, at)
            if _overdue(transaction, state, at):
                outbox.add(transaction, message("any"), source="sweep", at=at)
        transaction.commit()


def _forget_keys(database: Database, at: datetime) -> None:
    with database.writing() as transaction:
        idempotency.forget(transaction, before=at - idempotency.KEPT)
        transaction.commit()


def _overdue(transaction: Connection, state: State, at: datetime) -> bool:
    if unended.any_overdue(transaction, state, at=at, grace=OVERDUE_AFTER):
        return True
    since = routing.due_since(transaction) if state is State.VALIDATED else None  # the same wake-up serves both
    return since is not None and since + OVERDUE_AFTER <= at


def _give_up(transaction: Connection, state: State, at: datetime) -> None:
    problem = {
        "kind": "Failed",
        "code": "attempts_exhausted",
        "detail": f"Processing this request failed {ATTEMPTS} times; nothing was changed. Tell the operator.",
    }
    tired = unended.exhausted(transaction, state=state, attempts=ATTEMPTS, at=at)
    ended = [one for one in tired if closing.end(transaction, one, State.FAILED, problem)]
    events = [audit.AuditEvent("operation.failed", audit.Actor("worker", one.tenant_id), one.named()) for one in ended]
    audit.append(transaction, events, at=at)
    closing.forget_bytes(transaction, ended)
