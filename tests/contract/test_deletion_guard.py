"""A certificate that APIs need goes only by force, whatever takes its place and is decided in the same moment."""

from __future__ import annotations

import pytest

from tests.certificates import Made, self_signed
from tests.contract.test_apply_changes import fates
from tests.contract.test_replace import hold_back
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.operation import Kind, State
from trustcast.storage import operations
from trustcast.storage.operations import Operation
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


def test_api_of_another_tenant_keeps_nobodys_certificate(pipeline: Pipeline) -> None:
    other = pipeline.tenant(7)
    pipeline.add("alone")
    pipeline.api("Theirs", production="https://alone.example", who=other)
    pipeline.run()

    gone = delete(pipeline, "alone")
    pipeline.run()

    assert fates(pipeline, [gone]) == ["applied"]


# What takes its place


@pytest.fixture
def wild(database: Database) -> Pipeline:
    """A worker that has applied a wildcard: API A is at its endpoint, API B needs its name."""
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.add("wild", "https://a.x.example:443", self_signed("*.x.example"))
    pipeline.api("A", production="https://a.x.example")
    pipeline.api("B", production="https://b.x.example:8443")
    pipeline.run()
    return pipeline


def put(pipeline: Pipeline, how: str, alias: str, made: Made, *, force: bool = False) -> str:
    """Put `made` in another's place, past the door: what is on its way might cover what that one served."""
    if how == "finish":
        pipeline.rotate(alias, made)
        pipeline.run()
    pipeline.add(f"unrelated-{made.fingerprint_sha256[:8]}")
    return pipeline.finish(alias, force=force) if how == "finish" else pipeline.replace(alias, made, force=force)


HOW = pytest.mark.parametrize("how", ["replace", "finish"])


@HOW
def test_certificate_that_lacks_a_name_which_an_api_needs_takes_no_place(wild: Pipeline, how: str) -> None:
    before = wild.entries()["wild"]

    narrower = put(wild, how, "wild", self_signed("a.x.example"))
    wild.run()

    problem = wild.operation(narrower).problem or {}
    assert (problem["kind"], problem["code"]) == ("Conflict", "certificate_in_use")
    assert "B 1.0" in problem["detail"]
    assert "A 1.0" not in problem["detail"]
    assert wild.entries()["wild"] == before
    wild.assert_sound()


@HOW
def test_by_force_it_takes_the_place_all_the_same(wild: Pipeline, how: str) -> None:
    made = self_signed("a.x.example")

    narrower = put(wild, how, "wild", made, force=True)
    wild.run()

    assert fates(wild, [narrower]) == ["applied"]
    assert wild.entries()["wild"] == made.fingerprint_sha256
    wild.assert_sound()


@HOW
@pytest.mark.parametrize(
    "sans", [["b.x.example"], ["other.example", "*.x.example"]], ids=["the name", "another wildcard"]
)
def test_what_serves_the_same_apis_takes_the_place(wild: Pipeline, how: str, sans: list[str]) -> None:
    """At its own endpoint a certificate serves, whatever its names."""
    successor = put(wild, how, "wild", self_signed("other.example", sans=sans))
    wild.run()

    assert fates(wild, [successor]) == ["applied"]


@HOW
def test_what_lacks_a_name_takes_the_place_where_another_covers(wild: Pipeline, how: str) -> None:
    wild.add("b", "https://b.x.example:443", self_signed("b.x.example"))
    wild.run()

    successor = put(wild, how, "wild", self_signed("a.x.example"))
    wild.run()

    assert fates(wild, [successor]) == ["applied"]


def test_of_two_that_cover_each_other_one_changes_in_a_batch(wild: Pipeline) -> None:
    wild.add("second", "https://c.x.example:443", self_signed("*.x.example"))
    wild.run()

    ids = [put(wild, "replace", alias, self_signed("a.x.example")) for alias in ("wild", "second")]
    wild.run()

    assert fates(wild, ids) == ["applied", "certificate_in_use"]
    wild.assert_sound()


def test_successor_with_the_old_names_is_held_against_what_came_in_between(wild: Pipeline) -> None:
    """In the same batch, in which the same alias got more names."""
    more = self_signed("a.x.example", sans=["*.x.example", "c.example"])
    wild.api("C", production="https://c.example")

    ids = [put(wild, "replace", "wild", made) for made in (more, self_signed("*.x.example"))]
    wild.run()

    assert fates(wild, ids) == ["applied", "certificate_in_use"]
    wild.assert_sound()


def test_next_certificate_of_a_rotation_covers_nothing_until_it_takes_over(wild: Pipeline) -> None:
    """It can be called off at any time."""
    wild.add("b", "https://b.x.example:443", self_signed("b.x.example"))
    put(wild, "replace", "wild", self_signed("a.x.example"))
    wild.run()
    wild.rotate("wild", self_signed("*.x.example"))
    wild.run()

    during = delete(wild, "b")
    wild.run()
    wild.later(seconds=1)
    after = [wild.finish("wild"), delete(wild, "b")]
    wild.run()

    assert fates(wild, [during, *after]) == ["certificate_in_use", "applied", "applied"]


@HOW
def test_successor_waits_for_what_may_cover(wild: Pipeline, how: str) -> None:
    made = self_signed("a.x.example")
    if how == "finish":
        wild.rotate("wild", made)
        wild.run()
    add = wild.add("b", "https://b.x.example:443", self_signed("b.x.example"))
    hold_back(wild)
    narrower = wild.finish("wild") if how == "finish" else wild.replace("wild", made)

    wild.run()
    assert wild.operation(narrower).state is State.VALIDATED

    wild.later(seconds=60)
    wild.run()
    assert fates(wild, [add, narrower]) == ["applied", "applied"]
