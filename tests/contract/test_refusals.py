"""Refused attempts in the audit chain: all that matter, and never so many that they fill the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from trustcast.storage import audit
from trustcast.storage.audit import Actor
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event
from trustcast_api.refusals import PER_WINDOW, WINDOW_SECONDS, Refusals

MALLORY = Actor("token:mallory", -1234, "192.0.2.7")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(database: Database, clock: Clock) -> Iterator[Refusals]:
    made = Refusals(database, now=lambda: NOON, seconds=clock)
    yield made
    made.stop()


def told(database: Database) -> list[tuple[str, str, dict[str, Any]]]:
    """Actor, action and facts of every event; the chain holds."""
    with database.reading() as transaction:
        audit.verify(transaction)
        of = audit_event.c
        rows = transaction.execute(select(of.actor, of.action, of.facts).order_by(of.sequence))
        return [(row.actor, row.action, json.loads(row.facts)) for row in rows]


def test_refusal_is_in_the_chain_when_it_is_answered(database: Database, refusals: Refusals) -> None:
    refusals.record(MALLORY, {"code": "forbidden", "status": 403})

    assert told(database) == [("token:mallory", "request.refused", {"code": "forbidden", "status": 403})]


def test_many_refusals_of_one_kind_are_a_few_lines_and_their_number(
    database: Database, refusals: Refusals, clock: Clock
) -> None:
    for _ in range(1000):
        refusals.record(MALLORY, {"code": "forbidden"})
    assert len(told(database)) == PER_WINDOW

    clock.seconds += WINDOW_SECONDS
    refusals.record(MALLORY, {"code": "forbidden"})

    lines = told(database)
    left_out = {"code": "forbidden", "left_out": 1000 - PER_WINDOW}
    assert lines[PER_WINDOW] == ("token:mallory", "refusals.counted", left_out)
    assert lines[PER_WINDOW + 1][1] == "request.refused"
    assert len(lines) == PER_WINDOW + 2


def test_each_principal_and_each_reason_has_its_own_measure(database: Database, refusals: Refusals) -> None:
    for actor in (MALLORY, Actor("token:bob", -1234), Actor("token:mallory", 7)):
        for code in ("forbidden", "private_key"):
            for _ in range(PER_WINDOW + 5):
                refusals.record(actor, {"code": code})

    assert len(told(database)) == 6 * PER_WINDOW


def test_each_door_has_its_own_measure_and_its_own_number(database: Database, refusals: Refusals) -> None:
    look = {"code": "forbidden", "method": "GET", "route": "/v1/audit"}
    for number in range(PER_WINDOW + 3):
        refusals.record(MALLORY, look | {"name": str(number)})
    refusals.record(MALLORY, look | {"method": "POST", "route": "/v1/tokens"})
    refusals.record(MALLORY, look | {"route": "/v1/tokens"})
    refusals.stop()

    lines = told(database)
    assert [facts["route"] for _, _, facts in lines] == ["/v1/audit"] * PER_WINDOW + ["/v1/tokens"] * 2 + ["/v1/audit"]
    assert lines[-1][1:] == ("refusals.counted", look | {"left_out": 3})


def test_another_address_is_no_new_measure(database: Database, refusals: Refusals) -> None:
    for number in range(100):
        refusals.record(Actor("token:mallory", -1234, f"192.0.2.{number}"), {"code": "forbidden"})

    assert len(told(database)) == PER_WINDOW


def test_what_was_only_counted_is_told_when_the_window_has_ended_and_nobody_comes(
    database: Database, refusals: Refusals, clock: Clock
) -> None:
    for _ in range(PER_WINDOW + 3):
        refusals.record(MALLORY, {"code": "forbidden"})
    refusals.flush()
    assert len(told(database)) == PER_WINDOW

    clock.seconds += WINDOW_SECONDS
    refusals.flush()  # as the timer does

    assert told(database)[PER_WINDOW:] == [("token:mallory", "refusals.counted", {"code": "forbidden", "left_out": 3})]


def test_what_was_only_counted_is_told_at_the_end(database: Database, refusals: Refusals) -> None:
    for _ in range(PER_WINDOW + 3):
        refusals.record(MALLORY, {"code": "forbidden"})

    refusals.stop()

    assert told(database)[-1][2] == {"code": "forbidden", "left_out": 3}


def test_counts_hold_when_many_are_refused_at_once(database: Database, refusals: Refusals) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: refusals.record(MALLORY, {"code": "forbidden"}), range(200)))
    refusals.stop()

    lines = told(database)
    assert len(lines) == PER_WINDOW + 1
    assert lines[-1][2]["left_out"] == 200 - PER_WINDOW


def test_database_that_is_away_makes_no_refusal_worse() -> None:
    nowhere = Database("sqlite:////proc/no/such/folder/trustcast.db")

    with structlog.testing.capture_logs() as lines:
        Refusals(nowhere, now=lambda: NOON).record(MALLORY, {"code": "forbidden"})

    assert [(one["event"], one["code"], one["events"]) for one in lines] == [
        ("refusals_not_recorded", "database_unavailable", 1)
    ]
