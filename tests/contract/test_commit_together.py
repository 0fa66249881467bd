"""Uploads that arrive together share a commit: none waits for company, and none suffers for its neighbours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.certificates import self_signed
from tests.databases import migrated
from tests.pipeline import ADMIN
from trustcast.domain.errors import NotFound, Unavailable
from trustcast.domain.operation import Kind
from trustcast.storage import audit
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_tail, operation, outbox
from trustcast_api.accept_request import Asked
from trustcast_api.commit_together import CommitTogether
from trustcast_api.request import Request
from trustcast_api.settings import Unregistered


def asked_to_add(alias: str) -> Asked:
    certificate = self_signed("web.example").der
    return Asked(
        Request(kind=Kind.ADD, alias=alias, endpoint="https://web.example:443", certificate=certificate), ADMIN
    )


NOT_STORABLE = asked_to_add("\udcff")  # half of a surrogate pair: no door lets it pass, and no database takes it
NEVER_THERE = Asked(Request(kind=Kind.DELETE, alias="never"), ADMIN)


@contextlib.contextmanager
def held_up(database: Database) -> Iterator[None]:
    """Somebody else is at work on what every commit here needs."""
    with database.writing() as transaction:
        transaction.execute(audit_tail.update().values(sequence=audit_tail.c.sequence))
        yield


@contextlib.asynccontextmanager
async def working(database: Database, *, accepted: Callable[[], None] = lambda: None) -> AsyncIterator[CommitTogether]:
    together = CommitTogether(
        database, unregistered=Unregistered.ALLOW, now=lambda: datetime.now(UTC), accepted=accepted
    )
    yield together
    await together.stop()


async def begun(together: CommitTogether, *asked: Asked) -> list[asyncio.Task[Operation]]:
    """Ask; return when all of them wait."""
    tasks = [asyncio.create_task(together.accept(one)) for one in asked]
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in tasks)
    return tasks


def accepted_in_order(database: Database) -> list[str]:
    with database.reading() as transaction:
        audit.verify(transaction)
        return list(transaction.execute(select(operation.c.alias).order_by(operation.c.sequence)).scalars())


def commits(database: Database) -> int:
    """Each owes the worker one wake-up, which nobody sends here."""
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(outbox)).scalar_one()


def test_what_comes_while_one_is_written_down_shares_the_next_commit(database: Database) -> None:
    async def ask() -> list[Operation]:
        async with working(database) as together:
            with held_up(database):
                tasks = await begun(together, *(asked_to_add(f"web-{number}") for number in range(20)))
            return await asyncio.gather(*tasks)

    operations = asyncio.run(ask())

    assert accepted_in_order(database) == [one.alias for one in operations] == [f"web-{number}" for number in range(20)]
    assert commits(database) <= 2


def test_no_commit_is_for_more_than_a_hundred(database: Database) -> None:
    async def ask() -> None:
        async with working(database) as together:
            await asyncio.gather(*(together.accept(asked_to_add(f"web-{number}")) for number in range(250)))

    asyncio.run(ask())

    assert len(accepted_in_order(database)) == 250
    assert commits(database) == 3


def test_each_gets_its_own_operation_or_refusal(database: Database) -> None:
    asked = [asked_to_add("a"), NEVER_THERE, asked_to_add("b")]

    first, refusal, last = asyncio.run(all_at_once(database, *asked))

    assert isinstance(refusal, NotFound)
    assert (first.alias, last.alias) == ("a", "b")
    assert accepted_in_order(database) == ["a", "b"]


def test_one_that_nobody_expected_spoils_none_of_its_neighbours(database: Database) -> None:
    asked = [asked_to_add("a"), NOT_STORABLE, NEVER_THERE, asked_to_add("b")]

    first, unexpected, refusal, last = asyncio.run(all_at_once(database, *asked))

    assert isinstance(unexpected, UnicodeError)
    assert isinstance(refusal, NotFound)
    assert (first.alias, last.alias) == ("a", "b")
    assert accepted_in_order(database) == ["a", "b"]


def test_all_are_told_that_the_database_is_away(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'no-such-folder' / 'trustcast.db'}")

    results = asyncio.run(all_at_once(database, asked_to_add("a"), asked_to_add("b")))

    assert [type(one) for one in results] == [Unavailable, Unavailable]


def test_once_the_database_is_back_requests_are_accepted_again(tmp_path: Path) -> None:
    folder = tmp_path / "not-mounted-yet"
    database = Database(f"sqlite:///{folder / 'trustcast.db'}")

    async def ask() -> None:
        async with working(database) as together:
            with pytest.raises(Unavailable):
                await together.accept(asked_to_add("a"))
            folder.mkdir()
            migrated(f"sqlite:///{folder / 'trustcast.db'}")
            await together.accept(asked_to_add("b"))

    asyncio.run(ask())

    assert accepted_in_order(database) == ["b"]
    database.close()


def test_what_ends_the_writing_is_told_to_all_who_wait_and_the_next_are_served(database: Database) -> None:
    """The wake-up after a commit is not of those things that are retried one by one."""
    wake_ups = iter([RuntimeError("no wake-up today")])

    def wake_up() -> None:
        for error in wake_ups:
            raise error

    async def ask() -> list[Any]:
        async with working(database, accepted=wake_up) as together:
            with held_up(database):
                tasks = await begun(together, *(asked_to_add(f"web-{number}") for number in range(101)))
            async with asyncio.timeout(10):
                results = await asyncio.gather(*tasks, return_exceptions=True)
                return [*results, await together.accept(asked_to_add("last"))]

    *waited, last = asyncio.run(ask())

    assert {isinstance(one, Exception) for one in waited} == {True}
    assert last.alias == "last"


def test_who_waits_no_longer_changes_nothing_for_anybody(database: Database) -> None:
    async def ask() -> list[Any]:
        async with working(database) as together:
            with held_up(database):
                tasks = await begun(together, *(asked_to_add(alias) for alias in ("a", "b", "c")))
                tasks[1].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    first, gone, last = asyncio.run(ask())

    assert isinstance(gone, asyncio.CancelledError)
    assert (first.alias, last.alias) == ("a", "c")
    assert accepted_in_order(database) == ["a", "b", "c"]


def test_all_that_was_asked_for_is_written_down_before_the_end(database: Database) -> None:
    async def ask() -> list[Operation]:
        async with working(database) as together:
            with held_up(database):
                tasks = await begun(together, asked_to_add("a"), asked_to_add("b"))
                ending = asyncio.create_task(together.stop())
                await asyncio.sleep(0.05)
                assert not ending.done()
            await ending
            return await asyncio.gather(*tasks)

    assert [one.alias for one in asyncio.run(ask())] == ["a", "b"]
    assert accepted_in_order(database) == ["a", "b"]


async def all_at_once(database: Database, *asked: Asked) -> list[Any]:
    async with working(database) as together:
        return await asyncio.gather(*(together.accept(one) for one in asked), return_exceptions=True)
