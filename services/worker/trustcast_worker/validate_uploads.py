"""Give every accepted request that waits its verdict by policy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from trustcast.domain.errors import Rejected
from trustcast.domain.messages import OperationValidated
from trustcast.domain.operation import Kind, State
from trustcast.storage import audit, blobs, closing, operations, outbox, tenants, unended, validation
from trustcast.storage.judge import judge
from trustcast.storage.operations import Operation
from trustcast.storage.validation import Verdict
from trustcast_worker.parsed import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.policy import Policy
    from trustcast.storage.session import Database

BATCH = 200
LEASE = timedelta(seconds=10)
ATTEMPTS = 5


def validate_uploads(database: Database, *, policy: Policy, worker: str, now: Callable[[], datetime]) -> list[Verdict]:
    """Validate what waits, up to a batch; return the verdicts that counted.

    Each is judged by its tenant's policy, `policy` where that does not say otherwise.
    The claim is committed before the bytes are touched, so an upload that kills the process is counted against itself
    and ends as `failed` after `ATTEMPTS`. Raises `Unavailable`.
    """
    with database.writing() as transaction:
        claimed = validation.claim(transaction, worker=worker, at=now(), lease=LEASE, attempts=ATTEMPTS, limit=BATCH)
        certificates = blobs.read(transaction, [one.certificate for one in claimed if one.certificate])
        policies = tenants.policies(transaction, {one.tenant_id for one in claimed}, policy)
        transaction.commit()
    if not claimed:
        return []
    verdicts = [_verdict(one, certificates, policies[one.tenant_id], at=now()) for one in claimed]
    with database.writing() as transaction:
        counted = validation.settle(transaction, verdicts, worker=worker, at=now())
        _record(transaction, counted, at=now())
        transaction.commit()
    return counted


def left_some(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether more may wait than these: they are a full batch, or one that was tried before and comes alone."""
    return len(verdicts) == BATCH or any(one.operation.attempts > 1 for one in verdicts)


def _verdict(operation: Operation, certificates: dict[str, bytes], policy: Policy, *, at: datetime) -> Verdict:
    if operation.kind is Kind.DELETE:
        return Verdict(operation)
    try:
        warnings = judge(operation, parsed(certificates[operation.certificate or ""]), policy, at=at)
    except Rejected as refusal:
        return Verdict(operation, problem=operations.problem(refusal))
    return Verdict(operation, warnings=[{"code": one.code, "detail": one.detail} for one in warnings])


def _record(transaction: Connection, verdicts: list[Verdict], *, at: datetime) -> None:
    refused = [one for one in verdicts if one.problem]
    audit.append(
        transaction,
        [
            audit.AuditEvent(
                "operation.rejected",
                audit.Actor("worker", one.operation.tenant_id),
                one.operation.named() | {"code": one.problem["code"]},
            )
            for one in refused
            if one.problem
        ],
        at=at,
    )
    closing.forget_bytes(transaction, [one.operation for one in refused])
    # Refusals wake too: what was validated before may have been held back for them.
    if verdicts and unended.any_due(transaction, State.VALIDATED, at=at):
        outbox.add(transaction, OperationValidated(verdicts[-1].operation.id), source="worker", at=at)
