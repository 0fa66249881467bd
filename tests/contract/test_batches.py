"""Batches: lines that stand or fall alone, on record with what became of each, on each kind of database."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.certificates import self_signed
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import Conflict, NotFound, Rejected
from trustcast.domain.operation import Kind
from trustcast.storage import audit, batches
from trustcast.storage.batches import Batch, Counts
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, operation
from trustcast_api.accept_batch import NOTHING_SHA256, accept_lines, begin
from trustcast_api.principal import Principal
from trustcast_api.request import Line, Request

SOME_SHA256 = hashlib.sha256(b"some").hexdigest()
MADE = self_signed("web.example")


def line(number: int, name: str = "", **more: Any) -> Line:
    alias = name or f"web-{number}"
    host = f"{alias.lower()}.example"
    request = Request(kind=Kind.ADD, alias=alias, endpoint=f"https://{host}:443", certificate=self_signed(host).der)
    return Line(number, alias, replace(request, **more))


def refused(number: int) -> Line:
    return Line(number, None, problem=Rejected("alias_invalid", "Choose another.", field="alias"))


def take(
    pipeline: Pipeline, batch: Batch, *lines: Line, upto: int, complete: bool = True, who: Principal = ADMIN
) -> Batch:
    return accept_lines(
        pipeline.database, batch, lines, upto=upto, sha256=SOME_SHA256, complete=complete, who=who, at=pipeline.at
    )


def begun(pipeline: Pipeline, *, key: str | None = None, who: Principal = ADMIN) -> Batch:
    return begin(pipeline.database, who=who, idempotency_key=key, at=pipeline.at)


def counted(database: Database, batch: Batch) -> Counts:
    with database.reading() as transaction:
        return batches.counts(transaction, batch.id)


def problems(database: Database, batch: Batch, *, limit: int = 100, offset: int = 0) -> tuple[list[batches.Line], int]:
    with database.reading() as transaction:
        return batches.problems(transaction, batch.id, limit=limit, offset=offset)


def stored(database: Database, batch: Batch) -> Batch:
    with database.reading() as transaction:
        return batches.get(transaction, batch.tenant_id, batch.id)


def actions(database: Database) -> list[str]:
    with database.reading() as transaction:
        audit.verify(transaction)
        return list(transaction.execute(select(audit_event.c.action).order_by(audit_event.c.sequence)).scalars())


def number_of_operations(database: Database) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(operation)).scalar_one()


def test_good_lines_become_operations_and_the_others_problems(database: Database) -> None:
    pipeline = Pipeline(database)

    batch = take(pipeline, begun(pipeline), line(1), refused(2), line(4), upto=4)

    states = {"received": 2, "validated": 0, "applied": 0, "rejected": 0, "failed": 0, "refused": 1}
    assert counted(database, batch) == Counts(states, converged=0)
    assert stored(database, batch) == batch
    assert (batch.lines, batch.complete) == (4, True)
    assert actions(database) == ["batch.accepted", "operation.accepted", "operation.accepted", "batch.completed"]


def test_states_follow_the_operations_and_late_refusals_join_the_problems(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(
        pipeline,
        begun(pipeline),
        refused(1),
        line(2),
        line(3),
        line(4, certificate=b"0" * 50),
        line(5, "WEB-2"),
        upto=5,
    )

    pipeline.run()

    counts = counted(database, batch)
    assert (counts.states["applied"], counts.states["rejected"], counts.states["refused"]) == (2, 2, 1)
    assert counts.converged == 2
    found, total = problems(database, batch)
    assert total == 3
    assert [(one.number, (one.problem or {})["code"], one.operation is None) for one in found] == [
        (1, "alias_invalid", True),
        (4, "certificate_unreadable", False),
        (5, "alias_exists", False),
    ]


def test_problems_are_paged_by_line(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline), *(refused(number) for number in range(1, 6)), upto=5)

    found, total = problems(database, batch, limit=2, offset=2)

    assert ([one.number for one in found], total) == ([3, 4], 5)


def test_line_that_breaks_the_whole_chunk_is_found_and_the_others_go_on(database: Database) -> None:
    """Half a surrogate pair passes no driver; nothing like it passes the door, so it stands for what nobody knows."""
    pipeline = Pipeline(database)

    batch = take(pipeline, begun(pipeline), line(1), line(2, alias="x\ud800"), line(3), upto=3)

    found, _ = problems(database, batch)
    assert [(one.number, one.alias, (one.problem or {})["code"]) for one in found] == [(2, "web-2", "line_failed")]
    assert counted(database, batch).states["received"] == 2
    assert actions(database).count("operation.accepted") == 2


def test_token_bound_to_prefixes_has_its_own_lines_taken(database: Database) -> None:
    pipeline, bound = Pipeline(database), replace(ADMIN, name="token:1", alias_prefixes=("web-1",))

    batch = take(pipeline, begun(pipeline, who=bound), line(1), line(2), upto=2, who=bound)

    found, _ = problems(database, batch)
    assert [(one.number, (one.problem or {})["code"]) for one in found] == [(2, "alias_not_allowed")]
    assert counted(database, batch).states["received"] == 1


def test_lines_are_added_where_the_batch_stands_and_nowhere_else(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = begun(pipeline, key="k")
    first = take(pipeline, batch, line(1), upto=1, complete=False)

    with pytest.raises(Conflict) as late:
        take(pipeline, batch, line(1), upto=1, complete=False)
    last = take(pipeline, first, line(2), upto=2)

    assert late.value.code == "batch_under_way"
    assert counted(database, last).states["received"] == 2


def test_many_that_go_on_with_one_batch_at_once_add_its_lines_once(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = begun(pipeline, key="k")

    def one(_: int) -> str:
        try:
            return take(pipeline, batch, line(1), upto=1, complete=False).id
        except Conflict as conflict:
            return conflict.code

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(8)))

    assert sorted(results) == sorted([batch.id] + ["batch_under_way"] * 7)
    assert number_of_operations(database) == 1


def test_whole_batch_again_is_the_same_and_another_is_refused(database: Database) -> None:
    pipeline = Pipeline(database)
    whole = take(pipeline, begun(pipeline, key="k"), line(1), upto=1)

    again = take(pipeline, begun(pipeline, key="k"), line(1), upto=1)

    assert again == whole
    with pytest.raises(KeyReusedError):
        take(pipeline, begun(pipeline, key="k"), line(1), line(2), upto=2)
    assert number_of_operations(database) == 1


def test_key_of_a_batch_is_no_key_of_another_request(database: Database) -> None:
    pipeline = Pipeline(database)
    begun(pipeline, key="k")

    with pytest.raises(KeyReusedError):
        pipeline.add("web", key="k")


def test_batch_that_was_stopped_is_answered_for_what_stopped_it_alone(database: Database) -> None:
    pipeline, problem = Pipeline(database), Rejected("bulk_too_long", "There are more lines.")

    def stopped(sha256: str, problem: Rejected | None) -> Batch:
        batch, at = begun(pipeline, key="k"), pipeline.at
        return accept_lines(
            database, batch, [line(1)], upto=1, sha256=sha256, complete=True, who=ADMIN, at=at, problem=problem
        )

    first = stopped(SOME_SHA256, problem)

    assert stopped(SOME_SHA256, problem) == first
    for other, reason in [(NOTHING_SHA256, problem), (NOTHING_SHA256, None), (SOME_SHA256, None)]:
        with pytest.raises(KeyReusedError):
            stopped(other, reason)
    assert number_of_operations(database) == 1


def test_lines_that_a_batch_has_are_not_written_down_again(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline, key="k"), line(1), line(2), upto=2, complete=False)

    for lines, upto in [([line(1)], 1), ([line(2), line(3)], 3), ([], 1)]:
        with pytest.raises(KeyReusedError):
            take(pipeline, batch, *lines, upto=upto)

    assert stored(database, batch) == batch
    assert number_of_operations(database) == 2


def test_key_of_a_batch_is_no_key_of_a_batch_of_another_kind(database: Database) -> None:
    pipeline = Pipeline(database)

    def of(*asked: str) -> Batch:
        return begin(database, who=ADMIN, idempotency_key="k", at=pipeline.at, asked=asked)

    batch = of("keystore", SOME_SHA256)

    assert of("keystore", SOME_SHA256) == batch
    for other in [(), ("keystore", NOTHING_SHA256)]:
        with pytest.raises(KeyReusedError):
            of(*other)


def test_batch_that_is_stopped_keeps_its_lines_and_says_why(database: Database) -> None:
    pipeline = Pipeline(database)
    problem = Rejected("bulk_too_long", "There are more lines.")

    batch = accept_lines(
        database,
        begun(pipeline),
        [line(1)],
        upto=1,
        sha256=SOME_SHA256,
        complete=True,
        who=ADMIN,
        at=pipeline.at,
        problem=problem,
    )

    assert (stored(database, batch).problem or {})["code"] == "bulk_too_long"
    assert counted(database, batch).states["received"] == 1


def test_batches_are_their_tenants_own(database: Database) -> None:
    pipeline = Pipeline(database)
    theirs, mine = begun(pipeline, who=pipeline.tenant(7)), begun(pipeline)

    with database.reading() as transaction:
        with pytest.raises(NotFound):
            batches.get(transaction, ADMIN.tenant_id, theirs.id)
        found, total = batches.page(transaction, ADMIN.tenant_id, limit=10, offset=0)

    assert ([one.id for one in found], total) == ([mine.id], 1)
    assert mine.lines_sha256 == NOTHING_SHA256


def test_newest_batch_is_listed_first(database: Database) -> None:
    pipeline = Pipeline(database)
    ids = []
    for _ in range(3):
        pipeline.later(seconds=1)
        ids.append(begun(pipeline).id)

    with database.reading() as transaction:
        found, total = batches.page(transaction, ADMIN.tenant_id, limit=2, offset=0)

    assert ([one.id for one in found], total) == (ids[:0:-1], 3)
