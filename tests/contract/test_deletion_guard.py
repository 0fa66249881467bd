"""A certificate that APIs need is deleted only by force, whatever else is decided in the same moment."""

from __future__ import annotations

import pytest

from tests.certificates import self_signed
from tests.contract.test_apply_changes import fates
from tests.contract.test_replace import hold_back
from tests.pipeline import ADMIN, Pipeline
from trustcast.storage import operations
from trustcast.storage.operations import Kind, Operation, State
from trustcast.storage.session import Database


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """A worker that has applied the certificate of an API's backend."""
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.add("web")
    pipeline.api("Pizza", production="https://web.example")
    pipeline.run()
    return pipeline


def delete(pipeline: Pipeline, alias: str, *, force: bool = False) -> str:
    """Delete as if the door had seen nothing wrong with it: what is decided there may be old by now."""
    one = Operation(
        id=f"{alias}-{pipeline.at.timestamp()}",
        kind=Kind.DELETE,
        alias=alias,
        accepted_at=pipeline.at,
        requested_by=ADMIN.name,
        force=force,
    )
    with pipeline.database.writing() as transaction:
        operations.add(transaction, one)
        transaction.commit()
    return one.id


def test_certificate_that_an_api_needs_stays(pipeline: Pipeline) -> None:
    refused = delete(pipeline, "web")
    pipeline.run()

    problem = pipeline.operation(refused).problem or {}
    assert (problem["kind"], problem["code"]) == ("Conflict", "certificate_in_use")
    assert "Pizza 1.0" in problem["detail"]
    assert pipeline.trusted() == {"web"}


def test_force_deletes_it_all_the_same(pipeline: Pipeline) -> None:
    delete(pipeline, "web", force=True)
    pipeline.run()

    assert pipeline.trusted() == set()


def test_certificate_that_came_just_before_covers(pipeline: Pipeline) -> None:
    """The two are decided in one batch, and it comes to what it would in two."""
    ids = [pipeline.add("other", "https://web.example:443", self_signed("web.example")), delete(pipeline, "web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.trusted() == {"other"}
    pipeline.assert_sound()


def test_wildcard_that_came_just_before_covers(pipeline: Pipeline) -> None:
    pipeline.api("Pasta", production="https://a.web.example:9443")
    pipeline.add("a", "https://a.web.example:9443", self_signed("a.web.example"))
    pipeline.run()

    ids = [pipeline.add("wild", "https://b.web.example:443", self_signed("*.web.example")), delete(pipeline, "a")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    pipeline.assert_sound()


def test_certificate_that_just_went_covers_nothing(pipeline: Pipeline) -> None:
    pipeline.add("other", "https://web.example:443", self_signed("web.example"))
    pipeline.run()

    ids = [delete(pipeline, "web"), delete(pipeline, "other")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "certificate_in_use"]
    assert pipeline.trusted() == {"other"}


def test_certificate_that_was_just_replaced_by_another_name_covers_no_more(pipeline: Pipeline) -> None:
    pipeline.add("wide", "https://wide.example:443", self_signed("wide.example", sans=["wide.example", "web.example"]))
    pipeline.run()

    ids = [pipeline.replace("wide", self_signed("wide.example")), delete(pipeline, "web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "certificate_in_use"]
    pipeline.assert_sound()


def test_deletion_waits_for_what_may_cover(pipeline: Pipeline) -> None:
    add = pipeline.add("wide", "https://wide.example:443", self_signed("wide.example", sans=["web.example"]))
    hold_back(pipeline)
    gone = delete(pipeline, "web")

    pipeline.run()
    assert pipeline.operation(gone).state is State.VALIDATED

    pipeline.later(seconds=60)
    pipeline.run()
    assert fates(pipeline, [add, gone]) == ["applied", "applied"]


def test_forced_deletion_waits_for_nobody(pipeline: Pipeline) -> None:
    pipeline.add("wide", "https://wide.example:443", self_signed("wide.example", sans=["web.example"]))
    hold_back(pipeline)
    gone = delete(pipeline, "web", force=True)

    pipeline.run()

    assert pipeline.operation(gone).state is State.APPLIED


def test_api_of_another_tenant_keeps_nobodys_certificate(pipeline: Pipeline) -> None:
    other = pipeline.tenant(7)
    pipeline.add("alone")
    pipeline.api("Theirs", production="https://alone.example", who=other)
    pipeline.run()

    gone = delete(pipeline, "alone")
    pipeline.run()

    assert fates(pipeline, [gone]) == ["applied"]
