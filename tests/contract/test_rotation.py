"""A rotation with overlap: the next certificate comes beside the old one and takes its place in one generation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.certificates import Made, authority, self_signed
from tests.contract.test_apply_changes import fates
from tests.contract.test_replace import hold_back
from tests.pipeline import Pipeline
from trustcast.domain.errors import Conflict
from trustcast.domain.operation import State
from trustcast.storage import certificates, truststores
from trustcast.storage.session import Database

OLD, NEW = self_signed("web.example"), self_signed("web.example")


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """A worker that has applied the old certificate."""
    pipeline = Pipeline(database)
    pipeline.add("Web", made=OLD)
    pipeline.run()
    return pipeline


def rotates(pipeline: Pipeline, alias_key: str) -> str | None:
    with pipeline.database.reading() as transaction:
        return certificates.get(transaction, -1234, alias_key).rotates


def of(**made: Made) -> dict[str, str]:
    return {alias.replace("_", "."): one.fingerprint_sha256 for alias, one in made.items()}


def test_next_certificate_comes_beside_the_old_one(pipeline: Pipeline) -> None:
    rotation = pipeline.rotate("Web", NEW)
    pipeline.run()

    assert fates(pipeline, [rotation]) == ["applied"]
    assert pipeline.entries() == of(web=OLD, web_next=NEW)
    assert rotates(pipeline, "web.next") == "web"
    assert pipeline.operation(rotation).endpoint == "https://web.example:443"
    pipeline.assert_sound()


def test_end_of_a_rotation_is_one_generation(pipeline: Pipeline) -> None:
    pipeline.rotate("Web", NEW)
    pipeline.run()

    finish = pipeline.finish("Web")
    pipeline.run()

    with pipeline.database.reading() as transaction:
        changes = truststores.changes(transaction, "default", after=2)
        row = certificates.get(transaction, -1234, "web")
    assert (dict(changes.put), changes.remove) == (of(web=NEW), frozenset({"web.next"}))
    assert pipeline.generations(finish) == {"default": 3}
    assert (row.alias, row.rotates, row.certificate) == ("Web", None, NEW.der)
    pipeline.assert_sound()


def test_whole_rotation_in_one_batch_is_a_replace(pipeline: Pipeline) -> None:
    """The door refuses this while the next one is on its way; applied late, it is all there at once."""
    rotation = pipeline.rotate("Web", NEW)
    pipeline.validate()
    with pytest.raises(Conflict, match="on its way"):
        pipeline.finish("Web")
    pipeline.run()
    ids = [pipeline.finish("Web"), pipeline.rotate("Web", OLD), pipeline.cancel("Web")]
    pipeline.run()

    assert fates(pipeline, [rotation, *ids]) == ["applied"] * 4
    assert pipeline.entries() == of(web=NEW)
    pipeline.assert_sound()


def test_rotation_called_off_leaves_the_old_certificate(pipeline: Pipeline) -> None:
    pipeline.rotate("Web", NEW)
    pipeline.run()

    cancel = pipeline.cancel("Web")
    pipeline.run()

    assert fates(pipeline, [cancel]) == ["applied"]
    assert pipeline.entries() == of(web=OLD)
    pipeline.assert_sound()


def test_old_certificate_is_not_touched_while_it_is_rotated(pipeline: Pipeline) -> None:
    pipeline.rotate("Web", NEW)
    pipeline.run()

    ids = [pipeline.replace("web"), pipeline.delete("web"), pipeline.delete("web", force=True)]
    pipeline.run()

    assert fates(pipeline, ids) == ["rotation_under_way"] * 3
    assert pipeline.entries() == of(web=OLD, web_next=NEW)


def test_deletion_does_not_overtake_the_rotation_that_forbids_it(pipeline: Pipeline) -> None:
    rotation = pipeline.rotate("Web", NEW)
    hold_back(pipeline)
    delete = pipeline.delete("web", force=True)

    pipeline.run()
    assert pipeline.operation(delete).state is State.VALIDATED

    pipeline.later(seconds=60)
    pipeline.run()
    assert fates(pipeline, [rotation, delete]) == ["applied", "rotation_under_way"]


def test_end_that_comes_after_the_rotation_was_called_off_is_refused(pipeline: Pipeline) -> None:
    pipeline.rotate("Web", NEW)
    pipeline.run()

    ids = [pipeline.cancel("Web"), pipeline.finish("Web"), pipeline.cancel("Web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "rotation_not_found", "rotation_not_found"]
    assert pipeline.entries() == of(web=OLD)


def test_next_certificate_that_expires_meanwhile_can_still_take_over(pipeline: Pipeline) -> None:
    """Every gateway trusts it already; to keep the old one would help nobody."""
    brief = self_signed("web.example", days=1)
    pipeline.rotate("Web", brief)
    pipeline.run()
    pipeline.at += timedelta(days=3)

    finish = pipeline.finish("Web")
    pipeline.run()

    assert fates(pipeline, [finish]) == ["applied"]
    assert pipeline.entries() == of(web=brief)
    assert "expired" in {one["code"] for one in pipeline.operation(finish).warnings}


def test_authority_is_rotated_as_what_it_is(pipeline: Pipeline) -> None:
    first, second = authority(), authority()
    pipeline.add("ca", made=first, ca=True)
    pipeline.run()
    refused = pipeline.rotate("ca", second)
    pipeline.run()

    assert fates(pipeline, [refused]) == ["ca_not_allowed"]
    assert pipeline.entries() == of(web=OLD, ca=first)
