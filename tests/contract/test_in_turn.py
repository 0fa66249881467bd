"""Nothing overtakes what it could collide with, however long a verdict takes; all else goes on meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import event, insert, update

from tests.certificates import rsa_key, self_signed
from tests.contract.test_apply_changes import fates
from tests.contract.test_replace import hold_back
from tests.pipeline import Pipeline
from trustcast.domain.operation import State
from trustcast.storage import in_turn
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, operation

SHARED = "https://shared.example:443"


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """A worker that has applied `old`; an endpoint takes one certificate."""
    pipeline = Pipeline(database)
    pipeline.add("old")
    pipeline.run()
    return pipeline


def waiting(pipeline: Pipeline, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that are not decided when what can be is."""
    pipeline.run()
    return {one for one in ids if pipeline.operation(one).state in {State.RECEIVED, State.VALIDATED}}


def fates_at_last(pipeline: Pipeline, ids: Sequence[str]) -> list[str]:
    pipeline.later(seconds=60)
    pipeline.run()
    pipeline.assert_sound()
    return fates(pipeline, ids)


def test_successor_does_not_overtake_the_delete_that_waits(pipeline: Pipeline) -> None:
    ids = [pipeline.add("slow")]
    hold_back(pipeline)
    ids += [pipeline.delete("old"), pipeline.add("old", made=self_signed("old.example"))]

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "applied", "applied"]
    assert pipeline.trusted() == {"slow", "old"}


def test_delete_does_not_overtake_the_add_that_waits(database: Database) -> None:
    pipeline = Pipeline(database, per_endpoint=None)
    ids = [pipeline.add("slow", SHARED)]
    hold_back(pipeline)
    ids += [pipeline.add("new", SHARED), pipeline.delete("new", force=True)]

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "applied", "applied"]
    assert pipeline.trusted() == {"slow"}


def test_chain_of_adds_waits_for_its_first(pipeline: Pipeline) -> None:
    """The third collides with the second alone, which waits for the first."""
    made = self_signed("x.example")
    ids = [pipeline.add("slow", SHARED)]
    hold_back(pipeline)
    ids += [pipeline.add("x", SHARED, made), pipeline.add("y", "https://y.example:443", made)]

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "endpoint_has_certificate", "applied"]


def test_forced_delete_does_not_make_room_for_who_came_before(pipeline: Pipeline) -> None:
    ids = [pipeline.add("slow", "https://old.example:443")]
    hold_back(pipeline)
    ids.append(pipeline.delete("old", force=True))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["endpoint_has_certificate", "applied"]


def test_replace_does_not_free_its_certificate_for_who_came_before(database: Database) -> None:
    pipeline = Pipeline(database)
    made = self_signed("old.example")
    pipeline.add("old", made=made)
    pipeline.run()
    ids = [pipeline.add("slow", made=made)]
    hold_back(pipeline)
    ids.append(pipeline.replace("old"))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["certificate_exists", "applied"]


@pytest.mark.parametrize("kind", ["delete", "replace"])
def test_nothing_overtakes_what_makes_room_for_it(database: Database, kind: str) -> None:
    pipeline = Pipeline(database)
    made = self_signed("old.example")
    pipeline.add("old", made=made)
    pipeline.run()
    ids = [pipeline.delete("old") if kind == "delete" else pipeline.replace("old")]
    hold_back(pipeline)
    ids.append(pipeline.add("new", made=made))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "applied"]


def test_same_certificate_waits_for_who_asked_first(pipeline: Pipeline) -> None:
    made = self_signed("x.example")
    ids = [pipeline.add("slow", "https://slow.example:443", made)]
    hold_back(pipeline)
    ids.append(pipeline.add("quick", "https://quick.example:443", made))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "certificate_exists"]


def test_same_endpoint_waits_for_who_asked_first(pipeline: Pipeline) -> None:
    ids = [pipeline.add("slow", SHARED)]
    hold_back(pipeline)
    ids.append(pipeline.add("quick", SHARED))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "endpoint_has_certificate"]


def test_same_alias_waits_for_who_asked_first(pipeline: Pipeline) -> None:
    ids = [pipeline.add("Slow")]
    hold_back(pipeline)
    ids.append(pipeline.add("sLOW", "https://quick.example:443"))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "alias_exists"]


def test_rotation_waits_for_the_certificate_that_it_rotates(pipeline: Pipeline) -> None:
    ids = [pipeline.add("slow")]
    hold_back(pipeline)
    ids.append(pipeline.rotate("slow"))

    assert waiting(pipeline, ids) == set(ids)
    assert fates_at_last(pipeline, ids) == ["applied", "applied"]


def test_certificate_does_not_come_before_the_rotation_that_missed_it(pipeline: Pipeline) -> None:
    """The one that was to be rotated is refused; the next of this alias is not the one that was meant."""
    ids = [pipeline.add("x", SHARED, self_signed("x.example", key=rsa_key(1024)))]
    hold_back(pipeline)
    ids.append(pipeline.rotate("x"))
    pipeline.later(seconds=6)
    hold_back(pipeline)
    pipeline.later(seconds=6)
    pipeline.validate()
    ids.append(pipeline.add("x"))

    assert waiting(pipeline, ids) == set(ids[1:])
    assert fates_at_last(pipeline, ids) == ["key_size", "certificate_not_found", "applied"]


def test_add_of_something_else_waits_for_nobody(pipeline: Pipeline) -> None:
    slow = pipeline.add("slow")
    hold_back(pipeline)
    quick = pipeline.add("quick")

    assert waiting(pipeline, [slow, quick]) == {slow}


def test_tenant_waits_for_no_other(pipeline: Pipeline) -> None:
    tenant = pipeline.tenant(7)
    made = self_signed("old.example")
    pipeline.delete("old")
    hold_back(pipeline)
    theirs = pipeline.add("old", made=made, who=tenant)

    pipeline.run()

    assert pipeline.operation(theirs, 7).state is State.APPLIED


def test_many_that_wait_take_nobodys_place(pipeline: Pipeline) -> None:
    tenant = pipeline.tenant(7)
    pipeline.add("slow", SHARED)
    hold_back(pipeline)
    many(pipeline, State.VALIDATED, 600, endpoint=SHARED)
    theirs = pipeline.add("web", who=tenant)

    pipeline.run()

    assert pipeline.operation(theirs, 7).state is State.APPLIED


def test_backlog_of_many_tenants_is_read(database: Database) -> None:
    pipeline = Pipeline(database)
    many(pipeline, State.VALIDATED, 120)
    with database.writing() as transaction:
        transaction.execute(update(operation).values(tenant_id=operation.c.sequence))
        transaction.commit()

    with database.reading() as transaction:
        assert len(in_turn.validated(transaction, limit=200, at=pipeline.at)) == 120


def test_backlog_is_read_through_the_index_of_states_and_once(database: Database) -> None:
    pipeline = Pipeline(database)
    many(pipeline, State.APPLIED, 2000)
    many(pipeline, State.RECEIVED, 50)
    many(pipeline, State.VALIDATED, 20)
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: seen.append(told[2:4]))

    with database.reading() as transaction:
        assert len(in_turn.validated(transaction, limit=10, at=pipeline.at)) == 10

    assert len(seen) <= 4  # BEGIN is none on PostgreSQL; nor are the fetches of a cursor
    if database.is_sqlite:
        statement, parameters = next(one for one in seen if "UNION ALL" in one[0])
        with database.engine.connect() as connection:
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
        reading = [row[-1] for row in plan if "operation" in row[-1]]
        assert reading == ["SEARCH operation USING INDEX ix_operation_state_sequence (state=? AND sequence<?)"] * 2


def many(pipeline: Pipeline, state: State, count: int, *, endpoint: str | None = None) -> None:
    """Write down adds in `state` that collide with nobody, unless with each other at `endpoint`."""
    rows = [
        {
            "id": str(uuid.uuid4()),
            "tenant_id": SUPER_TENANT,
            "kind": "add",
            "state": state,
            "alias": f"{state}-{number}",
            "alias_key": f"{state}-{number}",
            "endpoint": endpoint or f"https://{state}-{number}.example:443",
            "ca": False,
            "fingerprint_sha256": uuid.uuid4().hex * 2,
            "warnings": [],
            "requested_by": "admin",
            "accepted_at": pipeline.at,
            "validated_at": pipeline.at,
            "lease_until": pipeline.at.replace(year=pipeline.at.year + 1),
        }
        for number in range(count)
    ]
    with pipeline.database.writing() as transaction:
        transaction.execute(insert(operation), rows)
        transaction.commit()
