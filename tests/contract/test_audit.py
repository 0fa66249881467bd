"""The audit chain: whatever is changed behind our back is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from trustcast.storage import audit
from trustcast.storage.audit import Actor, AuditEvent, BrokenChainError, Tail
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


def verified(database: Database, anchor: Tail | None = None) -> int:
    with database.reading() as transaction:
        return audit.verify(transaction, anchor).sequence


def first_bad(database: Database, anchor: Tail | None = None) -> int:
    with pytest.raises(BrokenChainError) as broken:
        verified(database, anchor)
    assert broken.value.code == "audit_chain_broken"
    assert f"event {broken.value.sequence}" in broken.value.detail
    return broken.value.sequence


def tail(database: Database) -> Tail:
    with database.reading() as transaction:
        return audit.tail(transaction)


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


CHANGES: list[dict[str, Any]] = [
    {"at": NOON + timedelta(microseconds=1)},
    {"actor": "somebody else"},
    {"tenant_id": 1},
    {"tenant_id": None},
    {"address": "127.0.0.2"},
    {"action": "operation.rejected"},
    {"facts": '{"operation":"9"}'},
    {"facts": ""},
    {"previous_sha256": "f" * 64},
    {"sha256": "f" * 64},
]


def named(change: dict[str, Any]) -> str:
    [(column, value)] = change.items()
    return f"{column}-{str(value)[:9]}"


@pytest.mark.parametrize("change", CHANGES, ids=named)
@pytest.mark.parametrize("row", [1, 3, 5])
def test_altered_event_is_named(chained: Database, row: int, change: dict[str, Any]) -> None:
    tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(**change))

    assert first_bad(chained) == row


def test_every_column_is_altered_by_some_test() -> None:
    assert {column for change in CHANGES for column in change} | {"sequence"} == set(audit_event.c.keys())


@pytest.mark.parametrize("at", ["no time", "5", ""])
def test_text_where_a_time_belongs_is_named(sqlite_url: str, at: str) -> None:
    database = Database(sqlite_url)
    append(database, *[AuditEvent("x.done", Actor("admin", None), {})] * 3)
    tamper(database, text("UPDATE audit_event SET at = :at WHERE sequence = 2").bindparams(at=at))

    assert first_bad(database) == 2
    database.close()


@pytest.mark.parametrize("at", ["infinity", "-infinity", "20000-01-01"])
def test_time_that_python_does_not_know_is_named(postgres_url: str, at: str) -> None:
    database = Database(postgres_url)
    append(database, *[AuditEvent("x.done", Actor("admin", None), {})] * 3)
    tamper(database, text(f"UPDATE audit_event SET at = '{at}' WHERE sequence = 2"))  # noqa: S608 - see the list above

    assert first_bad(database) == 2
    database.close()


def test_bytes_where_text_belongs_are_named(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    append(database, *[AuditEvent("x.done", Actor("admin", None), {})] * 2)
    tamper(database, text("UPDATE audit_event SET actor = x'00ff' WHERE sequence = 2"))

    assert first_bad(database) == 2
    database.close()


@pytest.mark.parametrize(("row", "number", "bad"), [(1, 17, 1), (3, 17, 3), (5, 17, 5), (3, 0, 0), (1, -7, -7)])
def test_event_with_another_number_is_named(chained: Database, row: int, number: int, bad: int) -> None:
    tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(sequence=number))

    assert first_bad(chained) == bad


@pytest.mark.parametrize("row", [1, 3, 5])
def test_deleted_event_is_named(chained: Database, row: int) -> None:
    tamper(chained, delete(audit_event).where(audit_event.c.sequence == row))

    assert first_bad(chained) == row


@pytest.mark.parametrize(("kept", "bad"), [(0, 1), (3, 4)])
def test_truncated_history_is_named_by_its_first_missing_event(chained: Database, kept: int, bad: int) -> None:
    tamper(chained, delete(audit_event).where(audit_event.c.sequence > kept))

    assert first_bad(chained) == bad


def test_first_event_that_was_slipped_in_behind_the_last_is_named(chained: Database) -> None:
    """They are even chained properly; but the row that tells the chain's end does not know them."""
    before = tail(chained)
    append(chained, *[AuditEvent("x.done", Actor("admin", None), {})] * 2)
    tamper(chained, update(audit_tail).values(sequence=before.sequence, sha256=before.sha256))

    assert first_bad(chained) == 6


def test_event_that_was_slipped_in_between_is_named(chained: Database) -> None:
    with chained.reading() as transaction:
        third = dict(transaction.execute(select(audit_event).where(audit_event.c.sequence == 3)).mappings().one())
    for row in (5, 4, 3):
        tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(sequence=row + 1))
    tamper(chained, insert(audit_event).values(**third))

    assert first_bad(chained) == 4


def test_first_of_two_events_that_changed_places_is_named(chained: Database) -> None:
    for row, place in ((2, 99), (3, 2), (99, 3)):
        tamper(chained, update(audit_event).where(audit_event.c.sequence == row).values(sequence=place))

    assert first_bad(chained) == 2


@pytest.mark.parametrize(
    ("change", "bad"),
    [({"sequence": 4}, 5), ({"sequence": 6}, 6), ({"sha256": "f" * 64}, 5)],
    ids=["sooner", "later", "sha256"],
)
def test_changed_end_is_noticed(chained: Database, change: dict[str, Any], bad: int) -> None:
    tamper(chained, update(audit_tail).values(**change))

    assert first_bad(chained) == bad


def test_lost_end_is_noticed(chained: Database) -> None:
    tamper(chained, delete(audit_tail))

    assert first_bad(chained) == 1


def test_several_ends_are_noticed(chained: Database) -> None:
    tamper(chained, insert(audit_tail).values(id=2, sequence=5, sha256="f" * 64))

    assert first_bad(chained) == 1


def test_end_that_somebody_kept_is_still_in_the_grown_chain(chained: Database) -> None:
    kept = tail(chained)
    append(chained, AuditEvent("x.done", Actor("admin", None), {}))

    assert verified(chained, kept) == 6
    assert verified(chained, tail(chained)) == 6
    assert verified(chained, Tail(0, audit.GENESIS)) == 6


def rewrite(database: Database, actors: list[str]) -> None:
    """Write the whole chain anew, its end included, as one could who may write to the database."""
    tamper(database, delete(audit_event))
    tamper(database, update(audit_tail).values(sequence=0, sha256=audit.GENESIS))
    append(database, *(AuditEvent("operation.accepted", Actor(name, -1234), {}) for name in actors))


def test_chain_that_was_rewritten_whole_is_noticed_by_whoever_kept_an_end(chained: Database) -> None:
    kept = tail(chained)
    rewrite(chained, ["somebody"] * 7)

    assert verified(chained) == 7
    assert first_bad(chained, kept) == 5


def test_chain_that_was_rewritten_shorter_is_noticed_by_whoever_kept_an_end(chained: Database) -> None:
    kept = tail(chained)
    rewrite(chained, ["somebody"] * 2)

    assert verified(chained) == 2
    assert first_bad(chained, kept) == 3


def test_long_chain_is_read_in_batches(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    append(database, *[AuditEvent("x.done", Actor("admin", None), {})] * 5000)
    tamper(database, update(audit_event).where(audit_event.c.sequence == 4321).values(actor="somebody"))

    assert first_bad(database) == 4321
    database.close()
