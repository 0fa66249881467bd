"""The audit chain: who did what, each event hashed over the one before it, in the transaction that did it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from trustcast.domain.errors import TrustcastError
from trustcast.storage.tables import audit_event, audit_tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, for which tenant (None: for none), and from which network address, where it was by HTTP."""

    name: str
    tenant_id: int | None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """`action` is `noun.participle`; `facts` are JSON values: ids, aliases, fingerprints, never certificate bytes."""

    action: str
    actor: Actor
    facts: dict[str, Any]


class BrokenChainError(TrustcastError):
    """The audit chain does not verify; `detail` names the first bad row."""


def append(transaction: Connection, events: Sequence[AuditEvent], *, at: datetime) -> None:
    """Chain `events` to the tail. The tail's row is locked first, so appends follow one another on every database."""
    if not events:
        return
    ahead = update(audit_tail).values(sequence=audit_tail.c.sequence + len(events))
    last, previous = transaction.execute(ahead.returning(audit_tail.c.sequence, audit_tail.c.sha256)).one()
    rows = []
    for sequence, event in enumerate(events, start=last - len(events) + 1):
        facts = json.dumps(event.facts, sort_keys=True, separators=(",", ":"))
        told = {
            "sequence": sequence,
            "at": at,
            "actor": event.actor.name,
            "tenant_id": event.actor.tenant_id,
            "address": event.actor.address,
            "action": event.action,
            "facts": facts,
        }
        digest = _sha256(previous, told)
        rows.append(told | {"previous_sha256": previous, "sha256": digest})
        previous = digest
    transaction.execute(insert(audit_event), rows)
    transaction.execute(update(audit_tail).values(sha256=previous))


def verify(transaction: Connection) -> int:
    """Return the number of events if the chain holds from genesis to tail. Raises `BrokenChainError`."""
    previous, expected = GENESIS, 0
    for row in transaction.execute(select(audit_event).order_by(audit_event.c.sequence)):
        expected += 1
        digest = _sha256(previous, row._asdict())
        if (row.sequence, row.previous_sha256, row.sha256) != (expected, previous, digest):
            raise BrokenChainError("audit_chain_broken", f"The audit chain breaks at event {expected}.")
        previous = digest
    tail = transaction.execute(select(audit_tail.c.sequence, audit_tail.c.sha256)).one()
    if tuple(tail) != (expected, previous):
        raise BrokenChainError("audit_chain_broken", f"The audit chain ends at {expected}, its tail is elsewhere.")
    return expected


_HASHED = ("sequence", "at", "actor", "tenant_id", "address", "action", "facts")


def _sha256(previous: str, told: Mapping[str, Any]) -> str:
    """SHA-256 over the JSON list of the previous hash and what is told, the time in UTC to the microsecond."""
    values = dict(told) | {"at": told["at"].astimezone(UTC).isoformat(timespec="microseconds")}
    chained = json.dumps([previous, *(values[name] for name in _HASHED)])
    return hashlib.sha256(chained.encode()).hexdigest()
