"""Take many requests in as one batch: a chunk of lines a commit, and each line's fate on record."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from trustcast.domain.errors import Conflict, Rejected, RejectedMany, TrustcastError, Unavailable
from trustcast.storage import audit, batches, idempotency, operations, sqlite
from trustcast.storage.batches import Batch
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.operations import Operation
from trustcast_api.accept_request import Asked, write_down
from trustcast_api.once import use_of
from trustcast_api.settings import MOST_SCHEDULED, Unregistered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal
    from trustcast_api.request import Line

log = structlog.get_logger("trustcast.api")

_Results = dict[int, Operation | TrustcastError]  # by line

CALLED_OFF = Conflict("cancelled", "This batch was called off, and no more of its lines are taken.")
NOTHING_SHA256 = hashlib.sha256().hexdigest()


def begin(
    database: Database, *, who: Principal, idempotency_key: str | None, at: datetime, asked: Sequence[str] = ()
) -> Batch:
    """Return a new batch, or the one that was begun before with the same key.

    `asked` is what tells this batch from others with the key: nothing for a bulk, whose lines are to come.

    Raises `KeyReusedError` for a key that was used for something else, and `Unavailable`.
    """
    use = use_of(who, idempotency_key, "batch", *asked)
    with database.writing() as transaction:
        if use is not None and (earlier := idempotency.take(transaction, use, at=at)) is not None:
            return batches.get(transaction, who.tenant_id, earlier["batch"])
        new = Batch(
            id=str(uuid.uuid4()),
            tenant_id=who.tenant_id,
            requested_by=who.name,
            accepted_at=at,
            lines=0,
            lines_sha256=NOTHING_SHA256,
        )
        batches.add(transaction, new)
        audit.append(transaction, [audit.AuditEvent("batch.accepted", who.actor, {"batch": new.id})], at=at)
        if use is not None:
            idempotency.answer(transaction, use, {"batch": new.id})
        transaction.commit()
    return new


def accept_lines(  # noqa: PLR0913 - each is given by name
    database: Database,
    batch: Batch,
    lines: Sequence[Line],
    *,
    upto: int,
    sha256: str,
    complete: bool,
    who: Principal,
    at: datetime,
    unregistered: Unregistered = Unregistered.ALLOW,
    most_scheduled: int = MOST_SCHEDULED,
    problem: Rejected | None = None,
) -> Batch:
    """Write down the lines that follow on those which `batch` has, all in one commit, and return it as it stands then.

    `upto` is the number of the last line that was read and `sha256` that of all bytes up to there; with `complete`
    there are no more, with a `problem` because no more are taken. What becomes of a line never stops the others.

    Raises `Conflict("batch_under_way")` where another request went on with the batch meanwhile, `Conflict("cancelled")`
    where it was called off before its end, `KeyReusedError` where that was complete with other content or has these
    lines, and `Unavailable`.
    """
    kept = operations.problem(problem) if problem is not None else None
    new = replace(batch, lines=upto, lines_sha256=sha256, complete=complete, problem=kept)
    if batch.complete:
        return _the_same(batch, new)
    if upto < batch.lines or any(one.number <= batch.lines for one in lines):
        raise KeyReusedError
    terms = _Terms(who, at, unregistered, most_scheduled)
    for write in (_together, _one_by_one):
        with database.writing() as transaction:
            if not batches.advance(transaction, batch, new):
                return _the_same(batches.get(transaction, batch.tenant_id, batch.id), new)
            try:
                results = write(transaction, [one for one in lines if one.request is not None], terms)
            # Whatever a line does to the database or to us, the others are to go on.
            except Exception as error:
                if write is _one_by_one or _is_about_all(error):
                    raise
                log.warning("lines_one_by_one", batch=batch.id, exc_info=True)
                continue
            batches.add_lines(transaction, batch.id, [_line(one, results.get(one.number)) for one in lines])
            audit.append(transaction, list(_completed(new, who)), at=at)
            transaction.commit()
            break
    return new


@dataclass(frozen=True, slots=True)
class _Terms:
    who: Principal
    at: datetime
    unregistered: Unregistered
    most_scheduled: int


def _the_same(found: Batch, new: Batch) -> Batch:
    """Return what is there if it is what would be: the same lines, sent twice, and stopped for the same reason."""
    if found.problem is not None and found.problem["code"] == CALLED_OFF.code:
        raise CALLED_OFF
    if not found.complete or not new.complete:
        raise Conflict(
            "batch_under_way", "Another request with this Idempotency-Key is sending this batch; wait for its end."
        )
    if _content(found) != _content(new):
        raise KeyReusedError
    return found


def _content(batch: Batch) -> tuple[int, str, str | None]:
    return batch.lines, batch.lines_sha256, batch.problem["code"] if batch.problem is not None else None


def _together(transaction: Connection, lines: Sequence[Line], terms: _Terms) -> _Results:
    asked = [Asked(one.request, terms.who) for one in lines if one.request is not None]
    if not asked:
        return {}
    results = write_down(
        transaction, asked, at=terms.at, unregistered=terms.unregistered, most_scheduled=terms.most_scheduled
    )
    return {one.number: result for one, result in zip(lines, results, strict=True)}


def _one_by_one(transaction: Connection, lines: Sequence[Line], terms: _Terms) -> _Results:
    results: _Results = {}
    for one in lines:
        try:
            with transaction.begin_nested():
                results |= _together(transaction, [one], terms)
        except Exception as error:
            if _is_about_all(error):
                raise
            log.exception("line_failed", line=one.number)
            results[one.number] = Rejected("line_failed", "Something went wrong on our side with this line alone.")
    return results


def _is_about_all(error: Exception) -> bool:
    """Tell whether it is the database itself that fails, and not what was to be written."""
    ours = isinstance(error, Unavailable | sqlite.DriverError)
    return ours or (isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError))


def _line(one: Line, result: Operation | TrustcastError | None) -> batches.Line:
    problem = result if isinstance(result, TrustcastError) else one.problem
    if problem is None:
        return batches.Line(one.number, one.alias, operation=result.id if isinstance(result, Operation) else None)
    first = problem.errors[0] if isinstance(problem, RejectedMany) else problem
    return batches.Line(one.number, one.alias, problem=operations.problem(first))


def _completed(new: Batch, who: Principal) -> Iterator[audit.AuditEvent]:
    if new.complete:
        facts: dict[str, Any] = {"batch": new.id, "lines": new.lines, "lines_sha256": new.lines_sha256}
        code = {"code": new.problem["code"]} if new.problem is not None else {}
        yield audit.AuditEvent("batch.completed", who.actor, facts | code)
