"""Certificates that come to their end: announced once at each threshold, removed where a tenant does not keep them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text, update

from tests.certificates import Made, self_signed
from tests.pipeline import Pipeline, Postbox
from trustcast.domain import messages
from trustcast.domain.messages import CertificateExpiring, Message
from trustcast.domain.operation import Kind, State
from trustcast.storage import audit, expiry, outbox
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, audit_event, certificate, operation, tenant
from trustcast_api.request import Request
from trustcast_worker.announce_expiry import announce_expiry, remove_expired

WEB = "https://web.example:443"


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def made(days: float, host: str = "web.example") -> Made:
    """A certificate with so many days left, and an hour more."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1) - timedelta(days=10)
    return self_signed(host, not_before=begin, days=days + 10)


def trusted(pipeline: Pipeline, days: float, alias: str = "Web") -> Made:
    one = made(days, f"{alias.lower()}.example")
    pipeline.add(alias, made=one)
    pipeline.run()
    return one


def announced(pipeline: Pipeline) -> list[tuple[str, int]]:
    return [(one.alias, days) for one, days in announce_expiry(pipeline.database, at=pipeline.at)]


def owed(database: Database) -> list[CertificateExpiring]:
    box = Postbox()
    outbox.drain(database, box, only=[CertificateExpiring])
    return [message for message in box.taken if isinstance(message, CertificateExpiring)]


def told(database: Database, action: str) -> list[dict[str, Any]]:
    """The facts of the audited events of this kind."""
    with database.reading() as transaction:
        audit.verify(transaction)
        rows = transaction.execute(
            select(audit_event.c.facts).where(audit_event.c.action == action).order_by(audit_event.c.sequence)
        )
        return [json.loads(facts) for facts in rows.scalars()]


def removing(database: Database, tenant_id: int = SUPER_TENANT) -> None:
    with database.writing() as transaction:
        transaction.execute(update(tenant).where(tenant.c.id == tenant_id).values(on_expiry="remove"))
        transaction.commit()


def removals(pipeline: Pipeline) -> list[str]:
    return [one.alias for one in remove_expired(pipeline.database, at=pipeline.at)]


def test_every_threshold_of_a_certificates_life_is_announced_once(pipeline: Pipeline) -> None:
    trusted(pipeline, 40)

    seen = []
    for _ in range(45 * 4):
        seen += announced(pipeline)
        pipeline.later(hours=6)

    assert seen == [("Web", days) for days in (30, 14, 7, 1, 0)]
    assert owed(pipeline.database) == [CertificateExpiring(SUPER_TENANT, "Web", 0)]  # of five that say the same


@pytest.mark.parametrize(("left", "days"), [(29, 30), (14.5, 30), (13, 14), (5, 7), (1.5, 7), (0.5, 1)])
def test_certificate_that_comes_late_is_announced_at_the_threshold_it_stands_at_and_no_other(
    pipeline: Pipeline, left: float, days: int
) -> None:
    trusted(pipeline, left)

    assert announced(pipeline) == [("Web", days)]
    assert announced(pipeline) == []


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=30), None),
        (timedelta(days=30, microseconds=-1), 30),
        (timedelta(days=14), 30),
        (timedelta(days=7, microseconds=-1), 7),
        (timedelta(days=1), 7),
        (timedelta(), 1),  # valid to the end, as its status says
        (timedelta(microseconds=-1), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_threshold_is_the_smallest_that_is_reached(left: timedelta, days: int | None) -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert expiry.threshold(at + left, at=at) == days


def test_message_says_whose_certificate_and_how_many_days(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    announced(pipeline)

    assert owed(pipeline.database) == [CertificateExpiring(SUPER_TENANT, "Web", 7)]


def test_messages_of_several_certificates_are_all_sent(pipeline: Pipeline) -> None:
    for alias in ("a", "b"):
        trusted(pipeline, 5, alias)
    announced(pipeline)

    assert {one.alias for one in owed(pipeline.database)} == {"a", "b"}


def test_announcement_is_audited_with_the_fingerprint_and_the_end(pipeline: Pipeline) -> None:
    one = trusted(pipeline, 5)
    announced(pipeline)
    pipeline.later(days=6)
    announced(pipeline)

    end = one.certificate.not_valid_after_utc.isoformat()
    facts = {"alias": "Web", "endpoint": WEB, "sha256": one.fingerprint_sha256, "not_after": end}
    assert told(pipeline.database, "certificate.expiring") == [facts | {"days": 7}]
    assert told(pipeline.database, "certificate.expired") == [facts]


def test_certificate_with_time_left_is_not_announced(pipeline: Pipeline) -> None:
    trusted(pipeline, 60)

    assert announced(pipeline) == []


def test_certificate_in_the_place_of_another_starts_anew(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    announced(pipeline)
    pipeline.accept(Request(kind=Kind.REPLACE, alias="web", endpoint=WEB, certificate=made(29).der))
    pipeline.run()

    assert announced(pipeline) == [("Web", 30)]


def test_same_certificate_once_more_starts_nothing_anew(pipeline: Pipeline) -> None:
    same = trusted(pipeline, 5)
    announced(pipeline)
    pipeline.accept(Request(kind=Kind.REPLACE, alias="web", endpoint=WEB, certificate=same.der))
    pipeline.run()

    assert announced(pipeline) == []


def test_certificate_replaced_between_look_and_mark_is_not_marked(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    with pipeline.database.reading() as transaction:
        seen = expiry.due(transaction, at=pipeline.at, limit=10)
    pipeline.accept(Request(kind=Kind.REPLACE, alias="web", endpoint=WEB, certificate=made(60).der))
    pipeline.run()

    with pipeline.database.writing() as transaction:
        assert expiry.mark(transaction, seen, 7) == []


def test_many_workers_announce_each_once(database_url: str) -> None:
    database = Database(database_url)
    first = Pipeline(database)
    for number in range(12):
        first.add(f"web-{number}", made=made(5, f"web-{number}.example"))
    first.run()
    databases, meet = [Database(database_url) for _ in range(4)], threading.Barrier(4)

    def announce(one: Database) -> list[str]:
        meet.wait()
        return [ending.alias for ending, _ in announce_expiry(one, at=first.at)]

    with ThreadPoolExecutor(4) as pool:
        seen = [alias for batch in pool.map(announce, databases) for alias in batch]

    assert sorted(seen) == sorted(f"web-{number}" for number in range(12))
    assert len(told(database, "certificate.expiring")) == 12
    for one in (database, *databases):
        one.close()


def test_announcement_that_was_not_committed_is_made_again(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)

    class Killed(Exception):
        pass

    def kill(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO outbox"):
            raise Killed

    event.listen(pipeline.database.engine, "before_cursor_execute", kill)
    with pytest.raises(Killed):
        announced(pipeline)
    event.remove(pipeline.database.engine, "before_cursor_execute", kill)

    assert announced(pipeline) == [("Web", 7)]
    assert len(told(pipeline.database, "certificate.expiring")) == 1


def test_what_a_broker_did_not_take_is_kept_for_it(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    announced(pipeline)

    with pytest.raises(Exception, match="broker"):
        outbox.drain(pipeline.database, Postbox(down=True))

    assert len(owed(pipeline.database)) == 1


def test_expired_certificate_stays_where_the_tenant_keeps_it(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    pipeline.later(days=6)

    assert removals(pipeline) == []


def test_expired_certificate_is_removed_where_the_tenant_does_not_keep_it(pipeline: Pipeline) -> None:
    one = trusted(pipeline, 5)
    trusted(pipeline, 60, "other")
    removing(pipeline.database)
    assert removals(pipeline) == []
    pipeline.later(days=6)

    assert removals(pipeline) == ["Web"]
    pipeline.run()
    assert pipeline.trusted() == {"other"}
    [accepted] = [facts for facts in told(pipeline.database, "operation.accepted") if facts["kind"] == "delete"]
    assert (accepted["alias"], accepted["if_match"]) == ("Web", one.fingerprint_sha256)
    assert {"worker"} < actors(pipeline.database) == {"admin", "worker", "expiry"}


def actors(database: Database) -> set[str]:
    with database.reading() as transaction:
        return set(transaction.execute(select(audit_event.c.actor)).scalars())


def test_removal_wakes_the_validation(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.later(days=6)
    outbox.drain(pipeline.database, Postbox())
    [removal] = remove_expired(pipeline.database, at=pipeline.at)

    box = Postbox()
    outbox.drain(pipeline.database, box)
    assert box.taken == [messages.OperationAccepted(removal.id)]


def test_removal_that_waits_is_not_asked_for_again(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.later(days=6)
    removals(pipeline)

    assert removals(pipeline) == []
    pipeline.validate()
    assert removals(pipeline) == []


def test_removal_that_failed_is_asked_for_again(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.later(days=6)
    removals(pipeline)
    with pipeline.database.writing() as transaction:
        transaction.execute(update(operation).where(operation.c.kind == Kind.DELETE).values(state=State.FAILED))
        transaction.commit()

    assert removals(pipeline) == ["Web"]


def test_certificate_whose_successor_is_on_its_way_is_not_removed(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.later(days=6)
    fresh = self_signed("web.example", not_before=pipeline.at - timedelta(hours=1))
    pipeline.accept(Request(kind=Kind.REPLACE, alias="web", endpoint=WEB, certificate=fresh.der))

    assert removals(pipeline) == []


def test_certificate_that_is_being_rotated_is_not_removed(pipeline: Pipeline) -> None:
    trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.rotate("Web", made(60))
    pipeline.run()
    pipeline.later(days=6)
    assert removals(pipeline) == []

    pipeline.cancel("Web")
    pipeline.run()

    assert removals(pipeline) == ["Web"]


def test_removal_is_for_the_expired_certificate_and_not_for_one_that_took_its_place(pipeline: Pipeline) -> None:
    one = trusted(pipeline, 5)
    removing(pipeline.database)
    pipeline.later(days=6)
    [removal] = remove_expired(pipeline.database, at=pipeline.at)

    assert (removal.if_match, removal.force, removal.requested_by) == (one.fingerprint_sha256, True, "expiry")


def test_two_workers_ask_for_one_removal(database_url: str) -> None:
    first = Pipeline(Database(database_url))
    trusted(first, 5)
    removing(first.database)
    first.later(days=6)
    databases, meet = [Database(database_url) for _ in range(4)], threading.Barrier(4)

    def remove(one: Database) -> int:
        meet.wait()
        return len(remove_expired(one, at=first.at))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(remove, databases)) == 1
    for each in (first.database, *databases):
        each.close()


def test_what_has_time_left_or_was_announced_is_not_read(database: Database) -> None:
    """10,000 rows that are not due: the plan reads ranges of the index that hold none of them."""
    first = Pipeline(database)
    first.add("web")
    first.run()
    with database.writing() as transaction:
        [row] = transaction.execute(select(certificate))
        like = dict(zip(certificate.c.keys(), row, strict=True))
        ends = [first.at + timedelta(days=400 if number % 10 else number % 200 / 10 - 10) for number in range(10_000)]
        rows = [
            {"alias_key": f"w{number}", "not_after": end, "expiry_announced": expiry.threshold(end, at=first.at)}
            for number, end in enumerate(ends)
        ]
        transaction.execute(insert(certificate), [like | one for one in rows])
        transaction.commit()
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))

    with recorded(database) as asked:
        assert announce_expiry(database, at=first.at) == []

    assert scans(database, asked) == []


@contextmanager
def recorded(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Yield a list that holds, when the block ends, the statements about certificates, each with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "AM_CERTIFICATE_METADATA" in statement:
            seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def scans(database: Database, asked: list[tuple[str, Any]]) -> list[str]:
    """Return the lines of the statements' plans that read the whole table."""
    assert asked
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.engine.connect() as connection:
        plans = [connection.exec_driver_sql(explain + statement, parameters).all() for statement, parameters in asked]
        lines = [str(row[-1]) for plan in plans for row in plan]
    assert any("ix_am_certificate_metadata_expiry" in line for line in lines)
    return [line for line in lines if "Seq Scan" in line or line.startswith("SCAN AM_")]


def test_removal_reads_only_what_is_due(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    removing(database)
    with recorded(database) as asked:
        assert remove_expired(database, at=datetime.now(UTC)) == []

    with database.engine.connect() as connection:
        [(statement, parameters)] = asked
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
    lines = "\n".join(str(row[-1]) for row in plan)
    assert "ix_am_certificate_metadata_not_after (TENANT_ID=? AND NOT_AFTER<?)" in lines
    database.close()


def test_message_is_told_in_the_vocabulary() -> None:
    event_ = messages.encode(CertificateExpiring(7, "web", 0), id="1", source="worker", at=datetime.now(UTC))

    decoded: Message = messages.decode(event_)
    assert decoded == CertificateExpiring(7, "web", 0)
