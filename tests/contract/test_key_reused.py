"""Whoever brings a key that another certificate of the tenant has is warned when the certificate is applied."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from tests.certificates import Made, ec_key, self_signed
from tests.pipeline import Pipeline
from trustcast.domain.policy import KEY_REUSED
from trustcast.storage.session import Database

KEY = ec_key()


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """A worker that has applied `old`, whose key is `KEY`."""
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.add("old", made=with_key("old.example"))
    pipeline.run()
    return pipeline


def with_key(host: str) -> Made:
    return self_signed(host, key=KEY)


def warned(pipeline: Pipeline, operation: str, tenant_id: int = -1234) -> bool:
    found = [one for one in pipeline.operation(operation, tenant_id).warnings if one["code"] == "key_reused"]
    assert found in ([], [{"code": "key_reused", "detail": KEY_REUSED.detail}])
    return bool(found)


def test_key_that_another_certificate_has_is_warned_of(pipeline: Pipeline) -> None:
    add = pipeline.add("web", made=with_key("web.example"))

    pipeline.run()

    assert warned(pipeline, add)


def test_warning_comes_beside_those_of_the_verdict(pipeline: Pipeline) -> None:
    add = pipeline.add("web", made=self_signed("web.example", key=KEY, days=5))

    pipeline.run()

    assert [one["code"] for one in pipeline.operation(add).warnings] == ["expires_soon", "key_reused"]


def test_key_of_its_own_is_not_warned_of(pipeline: Pipeline) -> None:
    add = pipeline.add("web")

    pipeline.run()

    assert not warned(pipeline, add)


def test_replacement_may_keep_the_key(pipeline: Pipeline) -> None:
    replacement = pipeline.replace("old", with_key("old.example"))

    pipeline.run()

    assert not warned(pipeline, replacement)


def test_rotation_may_keep_the_key(pipeline: Pipeline) -> None:
    begin = pipeline.rotate("old", with_key("old.example"))
    pipeline.run()
    finish = pipeline.finish("old")
    pipeline.run()

    assert not warned(pipeline, begin)
    assert not warned(pipeline, finish)


def test_rotation_with_the_key_of_a_third_is_warned_of(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()

    begin = pipeline.rotate("web", with_key("web.example"))
    pipeline.run()

    assert warned(pipeline, begin)


def test_two_of_one_key_in_one_batch_are_both_warned_of(pipeline: Pipeline) -> None:
    key = ec_key()
    ids = [pipeline.add(alias, made=self_signed(f"{alias}.example", key=key)) for alias in ("a", "b")]

    pipeline.run()

    assert [warned(pipeline, one) for one in ids] == [True, True]


def test_key_of_what_goes_in_the_same_batch_is_free(pipeline: Pipeline) -> None:
    pipeline.delete("old")
    add = pipeline.add("web", made=with_key("web.example"))

    pipeline.run()

    assert not warned(pipeline, add)


def test_keys_of_other_tenants_are_none_of_ours(pipeline: Pipeline) -> None:
    add = pipeline.add("web", made=with_key("web.example"), who=pipeline.tenant(7))

    pipeline.run()

    assert not warned(pipeline, add, 7)


def test_keys_of_a_batch_are_asked_for_once(pipeline: Pipeline) -> None:
    for number in range(30):
        pipeline.add(f"web-{number}", made=with_key(f"web-{number}.example"))
    pipeline.validate()
    pipeline.later(seconds=1)
    asked: list[str] = []
    event.listen(pipeline.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    pipeline.apply()

    assert len([one for one in asked if "GROUP BY" in one and "KEY_SHA256" in one]) == 1
    assert len([one for one in asked if one.startswith("UPDATE operation") and "warnings" in one]) == 1
