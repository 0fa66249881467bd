"""The audit chain: who did what, each event hashed over the one before it, in the transaction that did it.

The chain shows that nothing inside it was touched. Whoever may write to the database can rewrite it whole, its tail
included: against that somebody outside keeps a `Tail`, and `verify` holds the chain to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, func, insert, select, type_coerce, update

from trustcast.domain.errors import TrustcastError
from trustcast.storage.tables import audit_event, audit_tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

GENESIS = "0" * 64
_BATCH = 2000
_FACTS = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # `json.dumps` would make one for each event


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


@dataclass(frozen=True, slots=True)
class Tail:
    """An event's number and SHA-256, which covers every event up to it. Before the first: 0 and `GENESIS`."""

    sequence: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as it stands in the chain."""

    sequence: int
    at: datetime
    actor: str
    tenant_id: int | None
    address: str | None
    action: str
    facts: dict[str, Any]
    previous_sha256: str
    sha256: str


class BrokenChainError(TrustcastError):
    """The audit chain does not verify; `sequence` is the first event that is not as it was written."""

    def __init__(self, sequence: int, what: str) -> None:
        super().__init__("audit_chain_broken", f"The audit chain breaks at event {sequence}: {what}.")
        self.sequence = sequence


def append(transaction: Connection, events: Sequence[AuditEvent], *, at: datetime) -> None:
    """Chain `events` to the tail. The tail's row is locked first, so appends follow one another on every database."""
    if not events:
        return
    ahead = update(audit_tail).values(sequence=audit_tail.c.sequence + len(events))
    last, previous = transaction.execute(ahead.returning(audit_tail.c.sequence, audit_tail.c.sha256)).one()
    rows, when = [], _text(at)
    for sequence, event in enumerate(events, start=last - len(events) + 1):
        told = {
            "actor": event.actor.name,
            "tenant_id": event.actor.tenant_id,
            "address": event.actor.address,
            "action": event.action,
            "facts": _FACTS.encode(event.facts),
        }
        sha256 = _sha256(previous, sequence, when, *told.values())
        rows.append({"sequence": sequence, "at": at, **told, "previous_sha256": previous, "sha256": sha256})
        previous = sha256
    transaction.execute(insert(audit_event), rows)
    transaction.execute(update(audit_tail).values(sha256=previous))


def page(
    transaction: Connection, conditions: Sequence[ColumnElement[bool]], *, after: int, limit: int
) -> tuple[list[Recorded], int | None]:
    """Return up to `limit` events behind number `after`, and the number behind which there are more, None at the end.

    The last event of the page has that number.
    """
    names = Recorded.__dataclass_fields__
    wanted = select(*(audit_event.c[name] for name in names)).where(audit_event.c.sequence > after, *conditions)
    rows = transaction.execute(wanted.order_by(audit_event.c.sequence).limit(limit + 1)).all()
    found = [Recorded(**row._asdict() | {"facts": json.loads(row.facts)}) for row in rows[:limit]]
    return found, found[-1].sequence if len(rows) > limit else None


def tail(transaction: Connection) -> Tail:
    """Return the end of the chain, for somebody outside to keep. Raises `BrokenChainError` where its row is lost."""
    rows = transaction.execute(select(audit_tail.c.sequence, audit_tail.c.sha256).limit(2)).all()
    if len(rows) != 1:
        raise BrokenChainError(1, "there has to be one row that names the chain's end")
    return Tail(*rows[0])


def verify(transaction: Connection, anchor: Tail | None = None) -> Tail:
    """Return the tail if the chain holds from its first event to there and still has the event that `anchor` names.

    Reads all of it, a batch at a time. Raises `BrokenChainError`.
    """
    end, last = tail(transaction), Tail(0, GENESIS)
    _hold(last, anchor)
    with transaction.execute(_as_told(transaction), execution_options={"yield_per": _BATCH}) as rows:
        for row in rows:
            last = _followed(last, row, end)
            _hold(last, anchor)
    if last.sequence < max(end.sequence, anchor.sequence if anchor else 0):
        raise BrokenChainError(last.sequence + 1, "it is missing, and so is what came after it")
    if last != end:
        raise BrokenChainError(last.sequence, "it is not the one that the row of the chain's end names")
    return last


def _hold(last: Tail, anchor: Tail | None) -> None:
    if anchor is not None and last.sequence == anchor.sequence and last != anchor:
        raise BrokenChainError(last.sequence, "it is not the one that was kept outside; it or one before was rewritten")


def _followed(last: Tail, row: Sequence[Any], end: Tail) -> Tail:
    previous, sha256, sequence, *told = row
    expected = last.sequence + 1
    if sequence != expected:
        missing = isinstance(sequence, str) or sequence > expected
        raise BrokenChainError(expected if missing else sequence, "it is missing" if missing else "it was slipped in")
    if sequence > end.sequence:
        raise BrokenChainError(sequence, f"the chain ends before it, at event {end.sequence}")
    try:
        agrees = (previous, sha256) == (last.sha256, _sha256(last.sha256, sequence, *told))
    except TypeError:  # SQLite stores anything in any column, bytes too
        agrees = False
    if not agrees:
        raise BrokenChainError(sequence, "it is not as it was written")
    return Tail(sequence, sha256)


def _as_told(transaction: Connection) -> Any:
    """Read the times as text: one that was tampered with may be none, and no driver should trip over it."""
    of = audit_event.c
    if transaction.dialect.name == "sqlite":
        at: ColumnElement[str] = type_coerce(of.at, String)
    else:
        at = func.to_char(func.timezone("UTC", of.at), "YYYY-MM-DD HH24:MI:SS.US")
    told = (of.sequence, at, of.actor, of.tenant_id, of.address, of.action, of.facts)
    return select(of.previous_sha256, of.sha256, *told).order_by(of.sequence)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _sha256(previous: str, *told: str | int | None) -> str:
    """SHA-256 over the JSON list of the previous hash, sequence, time in UTC, actor, tenant, address, action, facts."""
    return hashlib.sha256(json.dumps([previous, *told]).encode()).hexdigest()
