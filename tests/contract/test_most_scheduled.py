"""A tenant may have so many requests waiting for their time; each that is too much is refused alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.certificates import self_signed
from tests.contract.test_batches import begun, line
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.operation import Kind
from trustcast.storage import unended
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast_api.accept_batch import accept_lines
from trustcast_api.accept_request import Asked, accept_requests
from trustcast_api.principal import Principal
from trustcast_api.request import Request

MOST = 2


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def asked(pipeline: Pipeline, alias: str, *, minutes: float | None = 10, who: Principal = ADMIN) -> Asked:
    """A request to add, for in so many minutes; None: for at once."""
    host = f"{alias}.example"
    due = None if minutes is None else pipeline.at + timedelta(minutes=minutes)
    der = self_signed(host).der
    endpoint = f"https://{host}:443"
    return Asked(Request(kind=Kind.ADD, alias=alias, endpoint=endpoint, certificate=der, activate_at=due), who, alias)


def codes(pipeline: Pipeline, *wanted: Asked) -> list[str]:
    """What became of them, in one commit: the code of each refusal, and "taken"."""
    results = accept_requests(pipeline.database, wanted, at=pipeline.at, most_scheduled=MOST)
    return ["taken" if isinstance(one, Operation) else one.code for one in results]


def test_each_that_is_too_much_is_refused_alone(pipeline: Pipeline) -> None:
    told = codes(pipeline, *(asked(pipeline, alias) for alias in "abc"), asked(pipeline, "d", minutes=None))

    assert told == ["taken", "taken", "too_many_scheduled", "taken"]
    assert codes(pipeline, asked(pipeline, "e")) == ["too_many_scheduled"]


def test_what_is_for_now_does_not_wait(pipeline: Pipeline) -> None:
    wanted = [
        asked(pipeline, alias, minutes=minutes) for alias, minutes in zip("abcd", (None, None, 0, -1), strict=True)
    ]

    assert codes(pipeline, *wanted, asked(pipeline, "e")) == ["taken"] * 5


def test_other_tenants_have_a_number_of_their_own(pipeline: Pipeline) -> None:
    other = pipeline.tenant(7)
    codes(pipeline, *(asked(pipeline, alias, who=other) for alias in "ab"))

    assert codes(pipeline, asked(pipeline, "c", who=other), asked(pipeline, "d")) == ["too_many_scheduled", "taken"]


def test_same_request_again_is_answered_although_there_are_as_many_as_may_be(pipeline: Pipeline) -> None:
    wanted = [asked(pipeline, alias) for alias in "ab"]
    codes(pipeline, *wanted)

    assert codes(pipeline, wanted[0]) == ["taken"]


@pytest.mark.parametrize("end", ["applied", "called off"])
def test_one_that_waits_no_more_makes_room(pipeline: Pipeline, end: str) -> None:
    first, *_ = accept_requests(pipeline.database, [asked(pipeline, alias) for alias in "ab"], at=pipeline.at)
    pipeline.run()

    if end == "applied":
        pipeline.later(minutes=10)
    else:
        assert isinstance(first, Operation)
        pipeline.call_off(first.id)

    assert codes(pipeline, asked(pipeline, "c")) == ["taken"]


def test_lines_of_a_batch_are_refused_one_by_one(pipeline: Pipeline) -> None:
    due = pipeline.at + timedelta(minutes=10)
    lines = [line(number, activate_at=due) for number in range(1, 5)]

    batch = accept_lines(
        pipeline.database,
        begun(pipeline),
        lines,
        upto=4,
        sha256="0" * 64,
        complete=True,
        who=ADMIN,
        at=pipeline.at,
        most_scheduled=MOST,
    )

    body = pipeline.call_off_batch(batch.id).body
    assert [(one["line"], one["code"]) for one in body["problems"]][2:] == [
        (3, "too_many_scheduled"),
        (4, "too_many_scheduled"),
    ]
    with pipeline.database.reading() as transaction:
        assert unended.scheduled(transaction, ADMIN.tenant_id, at=pipeline.at) == 0
