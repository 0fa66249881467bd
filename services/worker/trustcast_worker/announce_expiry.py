"""Announce the certificates that come to their end, once at each threshold, and have removed what is not kept.

Nothing else would notice: a JVM does not look at the validity of what it trusts.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

from trustcast.domain.messages import CertificateExpiring, OperationAccepted
from trustcast.domain.operation import Kind
from trustcast.storage import audit, expiry, operations, outbox, truststores
from trustcast.storage.operations import Operation

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast.storage.expiry import Ending
    from trustcast.storage.session import Database

BATCH = 500
REQUESTED_BY = "expiry"


def announce_expiry(database: Database, *, at: datetime) -> list[tuple[Ending, int]]:
    """Announce what is due, up to a batch; return it, each with the days that are left at most. Raises `Unavailable`.

    Mark, audit and message stand in one commit: each threshold is announced once, however many workers look.
    """
    with database.reading() as transaction:
        due = defaultdict[int, list["Ending"]](list)
        for one in expiry.due(transaction, at=at, limit=BATCH):
            due[expiry.threshold(one.not_after, at=at) or 0].append(one)
    if not due:
        return []
    with database.writing() as transaction:
        truststores.hold_all(transaction)  # whoever applies changes writes the same rows, in an order of its own
        announced = [(one, days) for days, ones in due.items() for one in expiry.mark(transaction, ones, days)]
        audit.append(transaction, [_audited(one, days) for one, days in announced], at=at)
        for one, days in announced:
            outbox.add(transaction, CertificateExpiring(one.tenant_id, one.alias, days), source="worker", at=at)
        transaction.commit()
    return announced


def remove_expired(database: Database, *, at: datetime) -> list[Operation]:
    """Accept a delete for each expired certificate of a tenant that does not keep them, up to a batch; return these.

    It is for that very certificate: one that takes its place meanwhile stays. Raises `Unavailable`.
    """
    with database.reading() as transaction:
        if not expiry.to_remove(transaction, at=at, limit=1):
            return []
    with database.writing() as transaction:
        truststores.hold_all(transaction)  # or two workers would each accept one
        removals = [_removal(one, at) for one in expiry.to_remove(transaction, at=at, limit=BATCH)]
        audit.append(transaction, [_accepted(one) for one in removals], at=at)
        for one in removals:
            operations.add(transaction, one)
        if removals:
            outbox.add(transaction, OperationAccepted(removals[-1].id), source="worker", at=at)
        transaction.commit()
    return removals


def _audited(one: Ending, days: int) -> audit.AuditEvent:
    facts = {
        "alias": one.alias,
        "endpoint": one.endpoint,
        "sha256": one.fingerprint_sha256,
        "not_after": one.not_after.isoformat(),
    }
    actor = audit.Actor("worker", one.tenant_id)
    if days == 0:
        return audit.AuditEvent("certificate.expired", actor, facts)
    return audit.AuditEvent("certificate.expiring", actor, facts | {"days": days})


def _removal(one: Ending, at: datetime) -> Operation:
    return Operation(
        id=str(uuid.uuid4()),
        kind=Kind.DELETE,
        alias=one.alias,
        endpoint=one.endpoint,
        force=True,
        if_match=one.fingerprint_sha256,
        requested_by=REQUESTED_BY,
        tenant_id=one.tenant_id,
        accepted_at=at,
    )


def _accepted(one: Operation) -> audit.AuditEvent:
    facts = {
        "operation": one.id,
        "kind": one.kind,
        "alias": one.alias,
        "endpoint": one.endpoint,
        "sha256": None,
        "force": one.force,
        "if_match": one.if_match,
    }
    return audit.AuditEvent("operation.accepted", audit.Actor(REQUESTED_BY, one.tenant_id), facts)
