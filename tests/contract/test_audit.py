"""The audit chain: whatever is changed behind our back is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from trustcast.storage import audit
from trustcast.storage.audit import Actor, AuditEvent, BrokenChainError
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, audit_tail

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def chained(database: Database) -> Database:
    """Five events, appended in two transactions."""
    append(
        database,
        *(
            AuditEvent("operation.accepted", Actor("admin", -1234, "127.0.0.1"), {"operation": str(n)})
            for n in range(3)
        ),
    )
    append(
        database, *(AuditEvent("operation.applied", Actor("worker", -1234), {"operation": str(n)}) for n in range(2))
    )
    return database


def append(database: Database, *events: AuditEvent, at: datetime = NOON) -> None:
    with database.writing() as transaction:
        audit.append(transaction, events, at=at)
        transaction.commit()


def verified(database: Database) -> int:
    with database.reading() as transaction:
        return audit.verify(transaction)


def tamper(database: Database, statement: Any) -> None:
    with database.writing() as transaction:
        transaction.execute(statement)
        transaction.commit()


def test_empty_chain_verifies(database: Database) -> None:
    assert verified(database) == 0


def test_chain_verifies_across_transactions(chained: Database) -> None:
    assert verified(chained) == 5


def test_appending_nothing_changes_nothing(chained: Database) -> None:
    append(chained)

    assert verified(chained) == 5


def test_chain_does_not_depend_on_the_writers_time_zone(database: Database) -> None:
    append(
        database,
        AuditEvent("x.done", Actor("admin", None), {}),
        at=NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
    )

    assert verified(database) == 1


def test_rolled_back_events_leave_the_chain_whole(chained: Database) -> None:
    with chained.writing() as transaction:
        audit.append(transaction, [AuditEvent("x.done", Actor("admin", None), {})], at=NOON)

    assert verified(chained) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"at": NOON + timedelta(microseconds=1)},
        {"actor": "somebody else"},
        {"action": "operation.rejected"},
        {"facts": '{"operation":"9"}'},
        {"previous_sha256": "f" * 64},
        {"sha256": "f" * 64},
        {"sequence": 17},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("row", [1, 3, 5])
def test_changed_column_is_noticed(chained: Database, row: int, change: dict[str, Any]) -> None:
    tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(**change))

    with pytest.raises(BrokenChainError) as broken:
        verified(chained)
    assert broken.value.code == "audit_chain_broken"


@pytest.mark.parametrize("row", [1, 3, 5])
def test_deleted_event_is_noticed(chained: Database, row: int) -> None:
    tamper(chained, delete(audit_event).where(audit_event.c.sequence == row))

    with pytest.raises(BrokenChainError):
        verified(chained)


def test_deleted_history_is_noticed(chained: Database) -> None:
    tamper(chained, delete(audit_event))

    with pytest.raises(BrokenChainError):
        verified(chained)


def test_event_that_was_slipped_in_is_noticed(chained: Database) -> None:
    with chained.reading() as transaction:
        last = dict(transaction.execute(select(audit_event).where(audit_event.c.sequence == 5)).mappings().one())
    tamper(chained, insert(audit_event).values(**last | {"sequence": 6, "previous_sha256": last["sha256"]}))

    with pytest.raises(BrokenChainError):
        verified(chained)


def test_two_events_that_changed_places_are_noticed(chained: Database) -> None:
    for row, place in ((2, 99), (3, 2), (99, 3)):
        tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(sequence=place))

    with pytest.raises(BrokenChainError):
        verified(chained)


@pytest.mark.parametrize("change", [{"sequence": 4}, {"sha256": "f" * 64}], ids=["sequence", "sha256"])
def test_changed_tail_is_noticed(chained: Database, change: dict[str, Any]) -> None:
    tamper(chained, update(audit_tail).values(**change))

    with pytest.raises(BrokenChainError):
        verified(chained)
