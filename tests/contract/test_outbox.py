"""What the broker is owed leaves the outbox only after the broker took it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select

from tests.pipeline import Pipeline, Postbox
from trustcast.domain.errors import Unavailable
from trustcast.domain.messages import Message, OperationAccepted, OperationValidated, TruststoreChanged
from trustcast.storage import outbox
from trustcast.storage.session import Database
from trustcast.storage.tables import outbox as outbox_table

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def owe(database: Database, *messages: Message) -> None:
    with database.writing() as transaction:
        for message in messages:
            outbox.add(transaction, message, source="test", at=NOW)
        transaction.commit()


def owed(database: Database) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(outbox_table)).scalar_one()


def test_what_the_broker_took_leaves_the_outbox(database: Database) -> None:
    owe(database, OperationAccepted("a"))
    postbox = Postbox()

    struck_off = outbox.drain(database, postbox)

    assert (struck_off, owed(database), postbox.taken) == (1, 0, [OperationAccepted("a")])


def test_broker_that_is_down_keeps_every_row(database: Database) -> None:
    owe(database, OperationAccepted("a"), TruststoreChanged("default", 1))

    with pytest.raises(Unavailable):
        outbox.drain(database, Postbox(down=True))

    assert owed(database) == 2


def test_several_hints_that_say_the_same_become_the_newest_one(database: Database) -> None:
    owe(
        database,
        OperationAccepted("a"),
        TruststoreChanged("default", 1),
        OperationAccepted("b"),
        OperationValidated("a"),
        TruststoreChanged("default", 2),
        TruststoreChanged("other", 7),
    )
    postbox = Postbox()

    struck_off = outbox.drain(database, postbox)

    assert struck_off == 6
    assert set(postbox.taken) == {
        OperationAccepted("b"),
        OperationValidated("a"),
        TruststoreChanged("default", 2),
        TruststoreChanged("other", 7),
    }
    assert len(postbox.taken) == 4


def test_crash_between_sending_and_striking_off_sends_twice(database: Database) -> None:
    class Crash(BaseException):
        """A process that dies; nothing catches it."""

    class Dying(Postbox):
        def publish(self, message: Message, event: str) -> None:
            super().publish(message, event)
            raise Crash

    owe(database, OperationAccepted("a"))
    dying, alive = Dying(), Postbox()
    with pytest.raises(Crash):
        outbox.drain(database, dying)

    outbox.drain(database, alive)

    assert dying.taken == alive.taken == [OperationAccepted("a")]


def test_what_is_owed_while_a_drain_sends_waits_for_the_next(database: Database) -> None:
    class Interrupted(Postbox):
        def publish(self, message: Message, event: str) -> None:
            super().publish(message, event)
            owe(database, OperationAccepted("late"))

    owe(database, OperationAccepted("early"))
    outbox.drain(database, Interrupted())
    postbox = Postbox()

    outbox.drain(database, postbox)

    assert postbox.taken == [OperationAccepted("late")]


def test_slow_drain_does_not_strike_off_what_it_never_sent(database: Database) -> None:
    class Overtaken(Postbox):
        def publish(self, message: Message, event: str) -> None:
            super().publish(message, event)
            outbox.drain(database, Postbox())
            owe(database, OperationAccepted("late"))  # on SQLite under the id of the row just struck off

    owe(database, OperationAccepted("early"))
    outbox.drain(database, Overtaken())
    postbox = Postbox()

    outbox.drain(database, postbox)

    assert postbox.taken == [OperationAccepted("late")]


def test_long_queue_leaves_in_batches(database: Database) -> None:
    owe(database, *(OperationAccepted(str(number)) for number in range(outbox.BATCH + 1)))
    postbox = Postbox()

    batches = [outbox.drain(database, postbox) for _ in range(3)]

    assert batches == [outbox.BATCH, 1, 0]


def test_event_of_a_newer_version_waits_for_somebody_who_understands_it(database: Database) -> None:
    revised = "trustcast.operation.revised.v9"
    row = {"type": revised, "event": f'{{"type":"{revised}","data":{{}}}}', "created_at": NOW}
    with database.writing() as transaction:
        transaction.execute(insert(outbox_table).values(row))
        transaction.commit()
    owe(database, OperationAccepted("a"))
    postbox = Postbox()

    counts = [outbox.drain(database, postbox) for _ in range(2)]

    assert (counts, postbox.taken, owed(database)) == ([1, 0], [OperationAccepted("a")], 1)


def test_many_events_of_a_newer_version_are_in_nobodys_way(database: Database) -> None:
    revised = "trustcast.operation.revised.v9"
    row = {"type": revised, "event": f'{{"type":"{revised}","data":{{}}}}', "created_at": NOW}
    with database.writing() as transaction:
        transaction.execute(insert(outbox_table), [row] * (outbox.BATCH + 1))
        transaction.commit()
    owe(database, OperationAccepted("a"))
    postbox = Postbox()

    outbox.drain(database, postbox)

    assert postbox.taken == [OperationAccepted("a")]


def test_request_and_its_wake_up_come_in_one_commit(database: Database) -> None:
    pipeline, postbox = Pipeline(database), Postbox()

    operation = pipeline.add("web")
    outbox.drain(database, postbox)

    assert postbox.taken == [OperationAccepted(operation)]


def test_whole_way_owes_each_step_its_wake_up(database: Database) -> None:
    pipeline, postbox = Pipeline(database), Postbox()
    operation = pipeline.add("web")
    outbox.drain(database, postbox)
    pipeline.validate()
    outbox.drain(database, postbox)
    pipeline.later(seconds=1)

    pipeline.apply()
    outbox.drain(database, postbox)

    assert postbox.taken == [
        OperationAccepted(operation),
        OperationValidated(operation),
        TruststoreChanged("default", 1),
    ]


def test_transaction_left_without_commit_owes_nothing(database: Database) -> None:
    with database.writing() as transaction:
        outbox.add(transaction, OperationAccepted("a"), source="test", at=NOW)

    assert owed(database) == 0


def test_whoever_committed_sends_what_it_owes_itself(database: Database) -> None:
    owe(database, OperationAccepted("a"), OperationValidated("b"), TruststoreChanged("default", 1))
    postbox = Postbox()

    struck_off = outbox.drain(database, postbox, only=[OperationValidated])

    assert (struck_off, owed(database), postbox.taken) == (1, 2, [OperationValidated("b")])
