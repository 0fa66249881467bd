"""One request that cannot be processed takes no other down with it, wherever it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from tests.certificates import self_signed
from tests.contract.test_apply_changes import fates
from tests.pipeline import Pipeline
from tests.redis_server import RedisServer
from trustcast import broker
from trustcast.domain.head import HeadSigner
from trustcast.domain.operation import State
from trustcast.storage import validation
from trustcast.storage.session import Database
from trustcast.storage.tables import certificate_blob, operation
from trustcast_worker import tasks
from trustcast_worker.context import Context
from trustcast_worker.settings import Settings
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE


def died_while_validating(pipeline: Pipeline) -> int:
    """A worker claims what it can and ends there; return how many it had."""
    with pipeline.database.writing() as transaction:
        claimed = validation.claim(
            transaction, worker="dead", at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=200
        )
        transaction.commit()
    pipeline.at += LEASE + timedelta(seconds=1)
    return len(claimed)


def test_upload_tried_before_is_claimed_alone(database: Database) -> None:
    pipeline = Pipeline(database)
    for alias in ("a", "b", "c"):
        pipeline.add(alias)
    assert died_while_validating(pipeline) == 3

    assert died_while_validating(pipeline) == 1


def test_fresh_upload_goes_before_one_that_was_tried(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("tried")
    died_while_validating(pipeline)
    fresh = pipeline.add("fresh")

    validated = pipeline.validate()

    assert [one.operation.id for one in validated] == [fresh]


def test_add_waits_for_the_delete_that_frees_its_endpoint(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("old", "https://web.example:443")
    pipeline.run()
    pipeline.delete("old")
    died_while_validating(pipeline)
    pipeline.at -= timedelta(seconds=5)  # its lease still holds
    replacement = pipeline.add("new", "https://web.example:443")
    pipeline.run()
    assert pipeline.operation(replacement).state is State.VALIDATED

    pipeline.later(seconds=10)
    pipeline.run()

    assert (pipeline.operation(replacement).state, pipeline.trusted()) == (State.APPLIED, {"new"})


@pytest.fixture
def apply_task(database_url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The task as the worker runs it, without the worker around it."""
    settings = Settings(database_url=database_url, redis_url=redis_server.url, head_key_file=tmp_path / "unused")
    app = broker.celery_app("memory://")
    context = Context(settings, HeadSigner(Ed25519PrivateKey.generate()))
    tasks.register(app, context)
    yield lambda: app.tasks[broker.APPLY_CHANGES].run("{}")
    context.database.close()
    context.broker.close()


def store_instead(pipeline: Pipeline, upload: str, der: bytes) -> None:
    with pipeline.database.writing() as transaction:
        stored = certificate_blob.c.sha256 == pipeline.operation(upload).certificate
        transaction.execute(update(certificate_blob).where(stored).values(der=der))
        transaction.commit()


@pytest.mark.parametrize("der", [b"damaged", self_signed("other.example").der], ids=["damaged", "another"])
def test_stored_certificate_that_is_not_what_came_is_not_distributed_and_stops_nobody(
    database: Database, apply_task: Callable[[], None], der: bytes
) -> None:
    pipeline = Pipeline(database)
    ids = [pipeline.add("damaged"), pipeline.add("healthy")]
    pipeline.validate()
    store_instead(pipeline, ids[0], der)

    apply_task()

    assert fates(pipeline, ids) == ["certificate_unreadable", "applied"]
    assert pipeline.trusted() == {"healthy"}


def test_request_whose_certificate_is_lost_ends_as_failed_and_stops_nobody(
    database: Database, apply_task: Callable[[], None]
) -> None:
    pipeline = Pipeline(database)
    lost = pipeline.add("lost")
    pipeline.validate()
    with database.writing() as transaction:
        transaction.execute(update(operation).where(operation.c.id == lost).values(certificate=None))
        transaction.commit()

    for _ in range(ATTEMPTS):
        with pytest.raises(KeyError):
            apply_task()
    healthy = pipeline.add("healthy")
    pipeline.validate()
    pipeline.later(seconds=5)
    pipeline.sweep()
    with contextlib.suppress(KeyError):
        apply_task()

    assert pipeline.operation(lost).state is State.FAILED
    assert pipeline.operation(healthy).state is State.APPLIED
