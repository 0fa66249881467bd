"""Who works on what: claims are compare-and-swap, leases end, attempts are counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.certificates import rsa_key, self_signed
from tests.pipeline import Pipeline, Postbox
from trustcast.domain.messages import OperationAccepted, OperationValidated
from trustcast.domain.operation import State
from trustcast.storage import audit, closing, outbox, validation
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob
from trustcast.storage.validation import Verdict
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE


def claim(pipeline: Pipeline, *, worker: str = "", limit: int = 100) -> list[Operation]:
    with pipeline.database.writing() as transaction:
        claimed = validation.claim(
            transaction,
            worker=worker or pipeline.name,
            at=pipeline.at,
            lease=LEASE,
            attempts=ATTEMPTS,
            limit=limit,
        )
        transaction.commit()
    return claimed


def settle(pipeline: Pipeline, verdicts: list[Verdict], *, worker: str = "") -> list[Verdict]:
    with pipeline.database.writing() as transaction:
        counted = validation.settle(transaction, verdicts, worker=worker or pipeline.name, at=pipeline.at)
        transaction.commit()
    return counted


def test_oldest_requests_are_claimed_first(database: Database) -> None:
    pipeline = Pipeline(database)
    ids = [pipeline.add(alias) for alias in ("c", "a", "b")]

    claimed = claim(pipeline, limit=2)

    assert [one.id for one in claimed] == ids[:2]


def test_what_one_worker_leases_no_other_gets(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")

    first, second = claim(pipeline, worker="a"), claim(pipeline, worker="b")

    assert (len(first), len(second)) == (1, 0)


def test_lease_that_ended_is_free_again_and_the_attempt_counts(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")
    claim(pipeline, worker="killed")
    pipeline.later(seconds=LEASE.total_seconds() + 1)

    assert [one.id for one in claim(pipeline, worker="b")] == [operation]
    assert pipeline.operation(operation).attempts == 2


def test_worker_that_was_paused_past_its_lease_counts_nothing(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")
    verdicts = [Verdict(one, problem={"code": "x", "detail": "y"}) for one in claim(pipeline, worker="paused")]
    pipeline.later(seconds=LEASE.total_seconds() + 1)
    [other] = claim(pipeline, worker="b")
    settle(pipeline, [Verdict(other)], worker="b")

    counted = settle(pipeline, verdicts, worker="paused")

    assert counted == []
    assert pipeline.operation(operation).state is State.VALIDATED


def test_paused_worker_counts_nothing_while_the_other_still_works(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")
    paused = claim(pipeline, worker="paused")
    pipeline.later(seconds=LEASE.total_seconds() + 1)
    claim(pipeline, worker="b")

    assert settle(pipeline, [Verdict(one) for one in paused], worker="paused") == []


def test_request_that_kills_every_worker_ends_as_failed_with_the_reason(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")
    for _ in range(ATTEMPTS):
        assert len(claim(pipeline)) == 1
        pipeline.later(seconds=LEASE.total_seconds() + 1)
    assert claim(pipeline) == []

    pipeline.sweep()

    failed = pipeline.operation(operation)
    assert (failed.state, (failed.problem or {})["code"]) == (State.FAILED, "attempts_exhausted")
    assert blobs(database) == 0


def test_last_attempt_that_is_still_running_is_not_ended_under_its_worker(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")
    for _ in range(ATTEMPTS - 1):
        claim(pipeline)
        pipeline.later(seconds=LEASE.total_seconds() + 1)
    claim(pipeline)
    pipeline.later(seconds=3)

    pipeline.sweep()

    assert pipeline.operation(operation).state is State.RECEIVED


def test_sweep_wakes_for_what_waits_too_long(database: Database) -> None:
    pipeline, postbox = Pipeline(database), Postbox()
    pipeline.add("web")
    outbox.drain(database, Postbox())  # taken, and lost
    pipeline.later(seconds=3)

    pipeline.sweep()
    outbox.drain(database, postbox)

    assert [type(message) for message in postbox.taken] == [OperationAccepted]


def test_sweep_wakes_for_what_was_validated_and_not_applied(database: Database) -> None:
    pipeline, postbox = Pipeline(database), Postbox()
    pipeline.add("web")
    pipeline.validate()
    outbox.drain(database, Postbox())
    pipeline.later(seconds=3)

    pipeline.sweep()
    outbox.drain(database, postbox)

    assert [type(message) for message in postbox.taken] == [OperationValidated]


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_sweep_leaves_alone_what_has_not_waited_long(database: Database, seconds: float) -> None:
    pipeline, postbox = Pipeline(database), Postbox()
    pipeline.add("web")
    outbox.drain(database, Postbox())
    pipeline.later(seconds=seconds)

    pipeline.sweep()

    assert outbox.drain(database, postbox) == 0


def test_two_sweeps_end_a_request_once(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")
    for _ in range(ATTEMPTS):
        claim(pipeline)
        pipeline.later(seconds=LEASE.total_seconds() + 1)

    pipeline.sweep()
    pipeline.sweep()

    with database.reading() as transaction:
        failed = select(func.count()).where(audit_event.c.action == "operation.failed")
        assert transaction.execute(failed).scalar_one() == 1
        audit.verify(transaction)


def test_request_that_ended_is_not_ended_again(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")
    seen = pipeline.operation(operation)
    pipeline.run()

    with database.writing() as transaction:
        closing.end(transaction, seen, State.FAILED, {"code": "x", "detail": "y"})
        transaction.commit()

    assert pipeline.operation(operation).state is State.APPLIED


def test_refused_request_keeps_its_fingerprint_and_loses_its_bytes(database: Database) -> None:
    pipeline = Pipeline(database)
    expired = self_signed("web.example", not_before=pipeline.at - timedelta(days=9), days=1)
    operation = pipeline.add("web", made=expired)

    pipeline.validate()

    refused = pipeline.operation(operation)
    assert refused.state is State.REJECTED
    assert refused.fingerprint_sha256 == expired.fingerprint_sha256
    assert refused.certificate is None
    assert blobs(database) == 0


def test_bytes_that_another_request_needs_stay(database: Database) -> None:
    pipeline = Pipeline(database)
    weak = self_signed("web.example", key=rsa_key(1024))
    pipeline.add("web", made=weak)
    claim(pipeline, worker="busy", limit=1)
    pipeline.add("other", made=weak)

    pipeline.validate()

    assert blobs(database) == 1


def test_batch_holds_good_and_bad_and_each_gets_its_own_verdict(database: Database) -> None:
    pipeline = Pipeline(database)
    good = pipeline.add("good")
    bad = pipeline.add("bad", made=self_signed("bad.example", key=rsa_key(1024)))
    gone = pipeline.delete("good")

    pipeline.validate()

    states = [pipeline.operation(one).state for one in (good, bad, gone)]
    assert states == [State.VALIDATED, State.REJECTED, State.VALIDATED]


def blobs(database: Database) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(certificate_blob)).scalar_one()
