"""Whoever waits for an operation's end is told, at the price of one look at a time for all who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import event

from tests.pipeline import Pipeline
from trustcast.domain.errors import Unavailable
from trustcast.domain.operation import JUDGED
from trustcast.storage import operations
from trustcast.storage.session import Database
from trustcast_api.endings import Endings

Told = TypeVar("Told")


@contextmanager
def looks(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", keep)
    yield seen
    event.remove(database.engine, "before_cursor_execute", keep)


def run(story: Coroutine[Any, Any, Told]) -> Told:
    """Run a story, and what it set going to its end: a look that is under way holds a connection."""

    async def whole() -> Told:
        told = await story
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        return told

    return asyncio.run(whole())


def test_those_that_have_a_verdict_are_told_with_it(database: Database) -> None:
    pipeline = Pipeline(database)
    applied, rejected = pipeline.add("web"), pipeline.add("web", "https://other.example:443")
    scheduled = pipeline.add("next", activate_at=pipeline.at + timedelta(hours=1))
    pipeline.run()
    waiting = pipeline.add("late")

    with database.reading() as transaction:
        told = operations.states(transaction, [applied, rejected, scheduled, waiting, "nobody's"])
    assert told == {applied: "applied", rejected: "rejected", scheduled: "validated", waiting: "received"}


def test_verdict_is_the_end_for_who_waits_for_no_more(database: Database) -> None:
    pipeline, endings = Pipeline(database), Endings(database)
    id_ = pipeline.add("web", activate_at=pipeline.at + timedelta(hours=1))

    async def story() -> bool:
        verdict = asyncio.create_task(endings.wait(id_, seconds=20, until=JUDGED))
        end = asyncio.create_task(endings.wait(id_, seconds=0.5))
        await asyncio.sleep(0.05)
        early = verdict.done()
        await asyncio.to_thread(pipeline.validate)
        await verdict
        return early or end.done()

    began = time.monotonic()
    assert asyncio.run(story()) is False
    assert time.monotonic() - began < 15


def test_many_wait_and_each_is_told_at_its_own_end(database: Database) -> None:
    pipeline, endings = Pipeline(database, per_endpoint=None), Endings(database)
    first = [pipeline.add(f"a{number}") for number in range(3)]

    async def story() -> tuple[bool, bool]:
        waiting = [asyncio.create_task(endings.wait(id_, seconds=20)) for id_ in first]
        await asyncio.sleep(0.05)
        early = any(one.done() for one in waiting)
        await asyncio.to_thread(pipeline.run)
        later = await asyncio.to_thread(pipeline.add, "later")
        await asyncio.gather(*waiting)
        last = asyncio.create_task(endings.wait(later, seconds=20))
        await asyncio.sleep(0.05)
        between = last.done()
        await asyncio.to_thread(pipeline.run)
        await last
        return early, between

    began = time.monotonic()
    assert run(story()) == (False, False)
    assert time.monotonic() - began < 15


def test_a_hundred_who_wait_cost_no_more_looks_than_one(database: Database) -> None:
    endings = Endings(database)

    async def story() -> None:
        await asyncio.gather(*(endings.wait(f"operation-{number}", seconds=0.3) for number in range(100)))

    with looks(database) as seen:
        run(story())

    assert 1 <= len(seen) <= 0.3 / 0.02 + 2


def test_nobody_looks_when_nobody_waits(database: Database) -> None:
    endings = Endings(database)

    async def story() -> None:
        await endings.wait("nobody's", seconds=0.05)
        await asyncio.sleep(0.05)
        seen.clear()
        await asyncio.sleep(0.1)

    with looks(database) as seen:
        run(story())

    assert seen == []


def test_database_that_is_away_is_said_to_all_who_wait(tmp_path: Any) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'none.db'}")
    endings = Endings(database)

    async def story() -> list[BaseException | None]:
        waiting = (endings.wait(f"operation-{number}", seconds=20) for number in range(3))
        return await asyncio.gather(*waiting, return_exceptions=True)

    told = run(story())

    assert [type(one) for one in told] == [Unavailable] * 3
    database.close()


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_patience_ends(database: Database, seconds: float) -> None:
    began = time.monotonic()

    run(Endings(database).wait("nobody's", seconds=seconds))

    assert seconds <= time.monotonic() - began < seconds + 2
