"""What is left of a batch is called off: nothing of it is applied, no more lines are taken, what is applied stays."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.contract.test_batches import begun, line, problems, refused, stored, take
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import Conflict, NotFound
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob, metadata
from trustcast_api.problems import ForbiddenError

WEB_ONLY = replace(ADMIN, name="token:1", alias_prefixes=("web",))


def rows(database: Database) -> dict[str, int]:
    with database.reading() as transaction:
        return {
            table.name: transaction.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def audited(database: Database, action: str) -> list[dict[str, Any]]:
    of = audit_event.c
    with database.reading() as transaction:
        facts = transaction.execute(select(of.facts).where(of.action == action)).scalars()
        return [json.loads(one) if isinstance(one, str) else one for one in facts]


def test_only_what_is_not_applied_yet_is_called_off(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline), line(1), refused(2), upto=2, complete=False)
    pipeline.run()
    later = pipeline.at + timedelta(days=1)
    batch = take(pipeline, batch, line(3), line(4, activate_at=later), upto=4)

    body = pipeline.call_off_batch(batch.id).body
    pipeline.later(seconds=2 * 86_400)
    pipeline.run()

    states = {name: number for name, number in body["states"].items() if number}
    assert (body["complete"], states) == (True, {"applied": 1, "refused": 1, "rejected": 2})
    assert [(one["line"], one["code"]) for one in body["problems"]] == [
        (2, "alias_invalid"),
        (3, "cancelled"),
        (4, "cancelled"),
    ]
    assert pipeline.trusted() == {"web-1"}
    with database.reading() as transaction:
        assert transaction.execute(select(func.count()).select_from(certificate_blob)).scalar_one() == 1


def test_what_was_validated_is_called_off_as_well(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline), line(1), upto=1)
    pipeline.validate()

    pipeline.call_off_batch(batch.id)
    pipeline.run()

    assert pipeline.trusted() == set()


def test_each_line_that_is_called_off_is_audited_once(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline), line(1), line(2), upto=2)

    first = pipeline.call_off_batch(batch.id)
    before = rows(database)
    again = pipeline.call_off_batch(batch.id)

    assert again == first
    assert rows(database) == before
    told = audited(database, "operation.cancelled")
    assert sorted((one["alias"], one["batch"]) for one in told) == [("web-1", batch.id), ("web-2", batch.id)]


def test_no_more_lines_of_a_batch_that_is_still_being_sent_are_taken(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline, key="k"), line(1), upto=1, complete=False)

    pipeline.call_off_batch(batch.id)

    for complete in (False, True):
        with pytest.raises(Conflict) as refusal:
            take(pipeline, batch, line(2), upto=2, complete=complete)
        assert refusal.value.code == "cancelled"
    with pytest.raises(Conflict) as refusal:
        take(pipeline, begun(pipeline, key="k"), line(1), upto=1)
    assert refusal.value.code == "cancelled"
    assert (stored(database, batch).problem or {})["code"] == "cancelled"
    assert [one.number for one in problems(database, batch)[0]] == [1]


def test_batch_that_came_whole_is_answered_again_though_it_was_called_off(database: Database) -> None:
    pipeline = Pipeline(database)
    whole = take(pipeline, begun(pipeline, key="k"), line(1), upto=1)

    pipeline.call_off_batch(whole.id)

    assert take(pipeline, begun(pipeline, key="k"), line(1), upto=1) == whole


def test_whoever_may_not_call_off_all_of_it_calls_off_nothing(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline), line(1), line(2, "mail"), upto=2, complete=False)
    before = rows(database)

    with pytest.raises(ForbiddenError) as refusal:
        pipeline.call_off_batch(batch.id, who=WEB_ONLY)

    assert refusal.value.code == "alias_not_allowed"
    assert (rows(database), stored(database, batch)) == (before, batch)


def test_batch_of_another_tenant_is_none(database: Database) -> None:
    pipeline = Pipeline(database)
    batch = take(pipeline, begun(pipeline, who=pipeline.tenant(7)), line(1), upto=1, who=pipeline.tenant(7))

    with pytest.raises(NotFound):
        pipeline.call_off_batch(batch.id)
