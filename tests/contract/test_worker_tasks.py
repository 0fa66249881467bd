"""The worker's tasks as Celery runs them, from the message on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, update

from tests.certificates import self_signed
from tests.pipeline import Pipeline, Postbox
from trustcast import broker
from trustcast.domain import messages
from trustcast.domain.head import HeadSigner
from trustcast.domain.messages import CertificateExpiring, Message, OperationAccepted, OperationValidated
from trustcast.domain.operation import Kind, State
from trustcast.storage import unended, validation
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, tenant
from trustcast_api.request import Request
from trustcast_worker import tasks
from trustcast_worker.context import Context
from trustcast_worker.settings import Settings
from trustcast_worker.validate_uploads import ATTEMPTS, BATCH, LEASE

WAKE_UP: dict[str, Message] = {
    broker.VALIDATE_UPLOADS: OperationAccepted("any"),
    broker.APPLY_CHANGES: OperationValidated("any"),
}


class Poisoned(Exception):
    """A bug that one certain request sets off."""


class Worker:
    """A worker process without its process: each task is run by name."""

    def __init__(self, app: Celery, pipeline: Pipeline, box: Postbox) -> None:
        self._app = app
        self.pipeline = pipeline
        self.box = box

    def run(self, task: str) -> None:
        message = WAKE_UP.get(task)
        said = (messages.encode(message, id="1", source="test", at=datetime.now(UTC)),) if message else ()
        self._app.tasks[task].apply(said, throw=True)

    def fate(self, operation: str) -> str:
        found = self.pipeline.operation(operation)
        return found.problem["code"] if found.problem else found.state.value


@pytest.fixture
def worker(database_url: str, tmp_path: Path) -> Iterator[Worker]:
    told = {"database_url": database_url, "redis_url": "redis://nowhere", "head_key_file": tmp_path / "unused.pem"}
    context = Context(Settings.model_validate(told), HeadSigner(Ed25519PrivateKey.generate()))
    box = Postbox()
    context.broker = box  # type: ignore[assignment]
    app = broker.celery_app("memory://")
    # Celery hands what one app defines to every other app of the process, the next test's among them.
    app.task = partial(app.task, shared=False)  # type: ignore[method-assign]
    tasks.register(app, context)
    yield Worker(app, Pipeline(context.database), box)
    context.database.close()


def poison(database: Database, fingerprint: str) -> None:
    """Make the database refuse whatever would make this certificate trusted."""

    def explode(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("INSERT INTO truststore_change") and fingerprint in str(parameters):
            raise Poisoned

    event.listen(database.engine, "before_cursor_execute", explode)


def test_request_that_breaks_the_apply_task_ends_failed_and_the_others_are_applied(worker: Worker) -> None:
    made = self_signed("bad.example")
    worker.pipeline.later(seconds=-60)  # or the sweep would wait for them to be overdue
    good = [worker.pipeline.add("a")]
    bad = worker.pipeline.add("bad", made=made)
    good.append(worker.pipeline.add("z"))
    poison(worker.pipeline.database, made.fingerprint_sha256)
    worker.run(broker.VALIDATE_UPLOADS)

    for _ in range(20):
        try:
            worker.run(broker.APPLY_CHANGES)
        except Poisoned:
            worker.run(broker.SWEEP)

    assert [worker.fate(one) for one in good] == ["applied", "applied"]
    assert worker.fate(bad) == "attempts_exhausted"
    assert worker.pipeline.operation(bad).state is State.FAILED


def test_task_that_validates_ends_now_and_then_and_owes_the_rest_a_wake_up(worker: Worker) -> None:
    """Or nothing would be applied before the last line of a bulk is validated, and no other tenant's upload either."""
    pipeline = worker.pipeline
    pipeline.later(seconds=-60)
    ids = [pipeline.add(f"web{number}") for number in range(6)]
    with pipeline.database.writing() as transaction:  # from now on each comes alone
        validation.claim(transaction, worker="dead", at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=BATCH)
        transaction.commit()

    worker.run(broker.VALIDATE_UPLOADS)
    first = [worker.fate(one) for one in ids]
    owed = [one for one in worker.box.taken if isinstance(one, OperationAccepted)]
    worker.run(broker.VALIDATE_UPLOADS)

    assert first == ["validated"] * 5 + ["received"]
    assert owed == [OperationAccepted("any")]
    assert {worker.fate(one) for one in ids} == {"validated"}


def test_blame_falls_on_what_waits_for_a_truststore_and_on_nothing_else(database: Database) -> None:
    pipeline = Pipeline(database)
    applied = pipeline.add("a")
    pipeline.run()
    waiting = pipeline.add("b")
    pipeline.validate()
    received = pipeline.add("c")
    before = {one: pipeline.operation(one).attempts for one in (applied, waiting, received)}

    with database.writing() as transaction:
        unended.blame(transaction, [applied, waiting, received])
        transaction.commit()

    after = {one: pipeline.operation(one).attempts - before[one] for one in before}
    assert after == {applied: 0, waiting: 1, received: 0}


def test_expiry_is_announced_and_what_is_not_kept_goes(worker: Worker) -> None:
    pipeline = worker.pipeline
    ended = self_signed("web.example", not_before=datetime.now(UTC) - timedelta(days=91))
    taken_over = Request(
        kind=Kind.ADD, alias="web", endpoint="https://web.example:443", certificate=ended.der, accept_expired=True
    )
    pipeline.later(seconds=-60)
    pipeline.accept(taken_over)
    pipeline.run()
    assert pipeline.trusted() == {"web"}
    with pipeline.database.writing() as transaction:
        transaction.execute(update(tenant).values(on_expiry="remove"))
        transaction.commit()

    for task in (broker.ANNOUNCE_EXPIRY, broker.VALIDATE_UPLOADS, broker.APPLY_CHANGES):
        worker.run(task)

    assert CertificateExpiring(SUPER_TENANT, "web", 0) in worker.box.taken
    assert pipeline.trusted() == set()
