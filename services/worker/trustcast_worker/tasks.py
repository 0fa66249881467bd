"""The tasks: decode, call the use case, classify the error."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from trustcast import broker
from trustcast.domain import messages
from trustcast.domain.errors import Rejected, Unavailable
from trustcast.domain.messages import CertificateExpiring, OperationAccepted, OperationValidated, TruststoreChanged
from trustcast.storage import outbox
from trustcast_worker.announce_expiry import announce_expiry, remove_expired
from trustcast_worker.apply_changes import LostRaceError, apply_changes, blame
from trustcast_worker.decide import Outcome
from trustcast_worker.read_ahead import read_ahead
from trustcast_worker.sign_heads import sign_heads
from trustcast_worker.sweep import sweep
from trustcast_worker.validate_uploads import left_some, validate_uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

    from trustcast.storage.validation import Verdict
    from trustcast_worker.context import Context

log = structlog.get_logger("trustcast.worker")

_ROUNDS = 5
_IN_A_LINE = 100  # ids: 4 KB, which collectors of logs take whole
_EXPECTED = (Unavailable, LostRaceError)
# The sweep wakes us again anyway; these tries are for what passes in seconds.
_RETRY: dict[str, Any] = {
    "autoretry_for": _EXPECTED,
    "max_retries": 4,
    "retry_backoff": 1,
    "retry_backoff_max": 10,
    "retry_jitter": True,
}


def register(app: Celery, context: Context) -> None:
    """Define the tasks on `app`; each works with `context` alone."""

    def task(name: str, work: Callable[..., None], **options: Any) -> None:
        @app.task(name=name, shared=False, throws=_EXPECTED, **options)
        def run(*args: str) -> None:
            try:
                work(context, *args)
            except Unavailable as error:
                log.warning("postponed", task=name, code=error.code, detail=error.detail)
                raise

    task(broker.VALIDATE_UPLOADS, _validate, **_RETRY)
    task(broker.APPLY_CHANGES, _apply, **_RETRY)
    task(broker.SIGN_HEADS, _sign, **_RETRY)
    task(broker.SWEEP, _sweep)
    task(broker.ANNOUNCE_EXPIRY, _announce, **_RETRY)


def _validate(context: Context, event: str) -> None:
    _heard(event)
    # What comes in meanwhile has a wake-up of its own: looking again at once would make many small batches of a burst.
    for _ in range(_ROUNDS):
        verdicts = validate_uploads(context.database, policy=context.policy, worker=context.name, now=context.now)
        again = left_some(verdicts)
        if not again:
            outbox.drain(context.database, context.broker, only=[OperationValidated])
        _say_verdicts(verdicts)
        if not again:
            return
    _leave_the_rest(context)


def _say_verdicts(verdicts: Sequence[Verdict]) -> None:
    by_problem = defaultdict[str | None, list[str]](list)
    for one in verdicts:
        by_problem[(one.problem or {}).get("code")].append(one.operation.id)
    for problem, ids in by_problem.items():
        _say("validated", ids, problem=problem)


def _leave_the_rest(context: Context) -> None:
    """Have the rest validated in its turn: of a bulk nothing would be applied before all of it is validated."""
    with context.database.writing() as transaction:
        outbox.add(transaction, OperationAccepted("any"), source="worker", at=context.now())
        transaction.commit()
    outbox.drain(context.database, context.broker, only=[OperationValidated, OperationAccepted])


def _apply(context: Context, event: str) -> None:
    _heard(event)
    context.applying.do(partial(_apply_what_waits, context))


def _apply_what_waits(context: Context) -> None:
    again = True
    while again:
        outcome = _applied(context)
        again = outcome.left_some
        outbox.drain(context.database, context.broker, only=[TruststoreChanged])
        if outcome.looked_again:
            log.info("routed anew")
        _say("applied", [one.id for one in outcome.done])
        for one, refusal in outcome.refused:
            log.info("rejected", operation=one.id, problem=refusal.code)
        if again:
            read_ahead(context.database, at=context.now())


def _say(event: str, ids: Sequence[str], **facts: str | None) -> None:
    """Log what became of operations: of many in few lines, for a line each took a tenth of a bulk's time."""
    if len(ids) == 1:
        log.info(event, operation=ids[0], **facts)
        return
    for start in range(0, len(ids), _IN_A_LINE):
        log.info(event, operations=ids[start : start + _IN_A_LINE], **facts)


def _applied(context: Context) -> Outcome:
    try:
        return apply_changes(
            context.database,
            signer=context.signer,
            cache=context.truststores,
            policy=context.policy,
            at=context.now(),
        )
    except _EXPECTED:
        raise
    except Exception:
        blame(context.database, at=context.now())
        raise


def _sign(context: Context) -> None:
    sign_heads(context.database, signer=context.signer, at=context.now())


def _sweep(context: Context) -> None:
    sweep(context.database, at=context.now())
    outbox.drain(context.database, context.broker)
    if context.settings.health_file is not None:
        context.settings.health_file.touch()


def _announce(context: Context) -> None:
    at = context.now()
    while announced := announce_expiry(context.database, at=at):
        for one, days in announced:
            log.warning("expiring" if days else "expired", alias=one.alias, tenant=one.tenant_id, days=days)
        outbox.drain(context.database, context.broker, only=[CertificateExpiring])
    while removals := remove_expired(context.database, at=at):
        for removal in removals:
            log.info("accepted", operation=removal.id, kind=removal.kind, requested_by=removal.requested_by)
        outbox.drain(context.database, context.broker, only=[OperationAccepted])


def _heard(event: str) -> None:
    """A message that nobody understands is still a reason to look; it only cannot name its operation."""
    try:
        message = messages.decode(event)
    except Rejected as error:
        log.warning(error.code, detail=error.detail)
    else:
        log.debug("heard", message=message)
