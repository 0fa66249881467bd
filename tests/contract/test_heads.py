"""Heads as they are stored: signed again in time, chained, and never at odds with the truststore."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.pipeline import Pipeline
from trustcast.domain.head import LIFETIME
from trustcast.storage import truststores
from trustcast.storage.session import Database
from trustcast.storage.tables import head
from trustcast_worker.sign_heads import SIGN_AGAIN_AFTER


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """One certificate is trusted; its head was just signed."""
    pipeline = Pipeline(database)
    pipeline.add("web")
    pipeline.run()
    return pipeline


def test_environment_without_a_generation_has_no_head(database: Database) -> None:
    pipeline = Pipeline(database)

    assert pipeline.sign() == 0
    with database.reading() as transaction:
        assert truststores.newest_head(transaction, "default") is None


def test_fresh_head_is_not_signed_again(pipeline: Pipeline) -> None:
    pipeline.later(seconds=SIGN_AGAIN_AFTER.total_seconds() - 1)

    assert pipeline.sign() == 0


def test_old_head_is_signed_again_for_the_same_generation(pipeline: Pipeline) -> None:
    before = pipeline.head()
    pipeline.later(seconds=SIGN_AGAIN_AFTER.total_seconds())

    assert pipeline.sign() == 1

    after = pipeline.head()
    assert (after.generation, after.entries_sha256, after.entries) == (1, before.entries_sha256, 1)
    assert after.issued_at > before.issued_at
    assert after.expires_at - after.issued_at == LIFETIME


def test_each_head_names_the_one_before_it(pipeline: Pipeline) -> None:
    heads = [pipeline.head()]
    for alias in ("b", "c"):
        pipeline.later(minutes=4)
        pipeline.sign()
        heads.append(pipeline.head())
        pipeline.add(alias)
        pipeline.run()
        heads.append(pipeline.head())

    assert heads[0].previous_head_sha256 is None
    assert [one.previous_head_sha256 for one in heads[1:]] == [one.sha256() for one in heads[:-1]]


def test_signing_again_leaves_every_earlier_head_on_record(pipeline: Pipeline) -> None:
    for _ in range(3):
        pipeline.later(minutes=4)
        pipeline.sign()

    with pipeline.database.reading() as transaction:
        assert transaction.execute(select(head.c.generation)).scalars().all() == [1, 1, 1, 1]


def test_digest_of_a_generation_is_the_one_that_was_signed(pipeline: Pipeline) -> None:
    with pipeline.database.reading() as transaction:
        digests = [truststores.digest_of(transaction, "default", generation) for generation in (0, 1, 2)]

    assert digests == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        pipeline.status().entries_sha256,
        None,
    ]


def test_generation_advances_only_from_the_one_that_was_expected(pipeline: Pipeline) -> None:
    with pipeline.database.writing() as transaction:
        content = truststores.content(transaction, "default")
        late = truststores.advance(transaction, "default", expected=0, content=content, digest=content.digest())
        in_time = truststores.advance(transaction, "default", expected=1, content=content, digest=content.digest())

    assert (late, in_time) == (False, True)
