"""What waits becomes one generation, in the order of acceptance, or nothing changes at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import event, func, select

from tests.certificates import self_signed
from tests.pipeline import Pipeline
from trustcast.domain.operation import State
from trustcast.storage import arrivals, audit, certificates, truststores, validation
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate, head, truststore_change
from trustcast_worker.apply_changes import blame
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE


def fates(pipeline: Pipeline, ids: Sequence[str]) -> list[str]:
    """Each operation's state, or the code of its problem."""
    found = [pipeline.operation(one) for one in ids]
    return [one.problem["code"] if one.problem else one.state.value for one in found]


def test_many_requests_become_one_generation(database: Database) -> None:
    pipeline = Pipeline(database)
    ids = [pipeline.add(f"web-{number}") for number in range(40)]

    pipeline.run()

    assert fates(pipeline, ids) == ["applied"] * 40
    assert (pipeline.status().generation, pipeline.status().entries) == (1, 40)


def test_next_requests_become_the_next_generation(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.run()
    second = pipeline.add("b")

    pipeline.run()

    with database.reading() as transaction:
        assert arrivals.generations(transaction, second) == {"default": 2}
        assert set(truststores.changes(transaction, "default", after=1).put) == {"b"}


def test_nothing_to_do_makes_no_generation(database: Database) -> None:
    pipeline = Pipeline(database)

    assert not pipeline.run()
    assert pipeline.status().generation == 0


def test_generation_head_entries_and_change_log_agree(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.add("b")
    pipeline.run()
    pipeline.delete("a")
    pipeline.run()

    with database.reading() as transaction:
        content = truststores.content(transaction, "default")
        rebuilt = truststores.changes(transaction, "default", after=0)
    head = pipeline.head()
    assert set(content.entries) == set(rebuilt.put) == {"b"}
    assert head.entries_sha256 == content.digest() == pipeline.status().entries_sha256
    assert (head.generation, head.entries) == (2, 1)


def test_alias_that_differs_only_in_case_is_taken(database: Database) -> None:
    pipeline = Pipeline(database)

    ids = [pipeline.add("Web"), pipeline.add("wEB", "https://other.example:443")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "alias_exists"]


def test_same_certificate_under_another_alias_is_refused(database: Database) -> None:
    pipeline, made = Pipeline(database, per_endpoint=None), self_signed("web.example")

    ids = [pipeline.add("a", "https://web.example:443", made), pipeline.add("b", "https://web.example:443", made)]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "certificate_exists"]


def test_endpoint_that_has_a_certificate_gets_no_second_one(database: Database) -> None:
    pipeline = Pipeline(database)

    ids = [pipeline.add(alias, "https://web.example:443", self_signed("web.example")) for alias in ("a", "b")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "endpoint_has_certificate"]


@pytest.mark.parametrize(("limit", "applied"), [(2, 2), (None, 4)])
def test_endpoint_has_as_many_certificates_as_the_setting_allows(
    database: Database, limit: int | None, applied: int
) -> None:
    pipeline = Pipeline(database, per_endpoint=limit)

    ids = [pipeline.add(alias, "https://web.example:443", self_signed("web.example")) for alias in "abcd"]
    pipeline.run()

    assert fates(pipeline, ids).count("applied") == applied


def test_conflicts_with_what_is_stored_are_found_in_later_batches(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example", sans=["web.example", "two.example"])
    pipeline.add("web", made=made)
    pipeline.run()

    ids = [
        pipeline.add("WEB", "https://one.example:443", self_signed("one.example")),
        pipeline.add("two", made=made),
        pipeline.add("three", "https://web.example:443", self_signed("web.example")),
    ]
    pipeline.run()

    assert fates(pipeline, ids) == ["alias_exists", "certificate_exists", "endpoint_has_certificate"]
    assert pipeline.status().generation == 1


def test_delete_makes_room_within_the_same_batch(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")
    pipeline.add("web", made=made)
    pipeline.run()

    ids = [pipeline.delete("WEB"), pipeline.add("web", made=self_signed("web.example"))]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.trusted() == {"web"}
    assert pipeline.status().generation == 2


def test_what_comes_and_goes_within_a_batch_leaves_no_trace_in_the_truststore(database: Database) -> None:
    pipeline = Pipeline(database)

    ids = [pipeline.add("web"), pipeline.delete("web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.trusted() == set()
    assert count(database, certificate) == 0
    assert count(database, truststore_change) == 0


def test_delete_of_what_is_gone_by_then_is_refused(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")
    pipeline.run()

    ids = [pipeline.delete("web"), pipeline.delete("web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "certificate_not_found"]


def test_delete_does_not_overtake_the_add_it_is_for(database: Database) -> None:
    pipeline = Pipeline(database)
    add = pipeline.add("web")
    with database.writing() as transaction:
        validation.claim(transaction, worker="slow", at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=1)
        transaction.commit()
    delete = pipeline.delete("web")

    pipeline.run()
    assert pipeline.operation(delete).state is State.VALIDATED

    pipeline.later(seconds=60)
    pipeline.run()
    assert fates(pipeline, [add, delete]) == ["applied", "applied"]
    assert pipeline.trusted() == set()


def test_what_is_ready_waits_a_moment_for_what_is_being_validated(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.validate()
    pipeline.add("b")

    assert not pipeline.apply()

    pipeline.validate()
    assert len(pipeline.apply().done) == 2


def test_what_is_ready_does_not_wait_for_ever(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.validate()
    pipeline.add("b")
    pipeline.later(seconds=0.2)

    assert len(pipeline.apply().done) == 1


def test_refusals_alone_make_no_generation(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")
    pipeline.run()
    pipeline.add("web", "https://other.example:443", self_signed("other.example"))

    outcome = pipeline.run()

    assert (len(outcome.done), len(outcome.refused)) == (0, 1)
    assert pipeline.status().generation == 1


def test_trusted_row_keeps_what_was_uploaded(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")
    operation = pipeline.add("Web", made=made)
    pipeline.run()

    with database.reading() as transaction:
        row = certificates.get(transaction, -1234, "web")

    assert (row.alias, row.endpoint, row.operation) == ("Web", "https://web.example:443", operation)
    assert row.certificate == made.der
    assert row.not_after == made.certificate.not_valid_after_utc


class Poisoned(Exception):
    """A bug that one certain request sets off."""


def poison(database: Database, fingerprint: str) -> None:
    """Make the database refuse whatever would make this certificate trusted."""

    def explode(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("INSERT INTO truststore_change") and fingerprint in str(parameters):
            raise Poisoned

    event.listen(database.engine, "before_cursor_execute", explode)


def test_poisonous_request_ends_alone_and_lets_the_others_through(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("bad.example")
    good = [pipeline.add("a"), pipeline.add("z")]
    bad = pipeline.add("bad", made=made)
    good.append(pipeline.add("y"))
    poison(database, made.fingerprint_sha256)
    pipeline.validate()

    for _ in range(20):
        pipeline.later(seconds=3)
        try:
            while pipeline.apply():
                pass
        except Poisoned:
            blame(database, at=pipeline.at)
            pipeline.sweep()

    assert fates(pipeline, good) == ["applied"] * 3
    assert fates(pipeline, [bad]) == ["attempts_exhausted"]
    assert pipeline.trusted() == {"a", "y", "z"}


def test_apply_that_fails_changes_nothing(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("bad.example")
    operation = pipeline.add("bad", made=made)
    poison(database, made.fingerprint_sha256)

    with pytest.raises(Poisoned):
        pipeline.run()

    assert pipeline.operation(operation).state is State.VALIDATED
    assert pipeline.status().generation == 0
    assert count(database, head) == 0


def test_every_step_is_in_the_audit_chain(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web")
    pipeline.add("WEB", "https://web2.example:443", self_signed("web2.example"))

    pipeline.run()

    with database.reading() as transaction:
        assert audit.verify(transaction).sequence == 4
        actions = transaction.execute(select(audit_event.c.action).order_by(audit_event.c.sequence)).scalars().all()
    assert sorted(actions) == ["operation.accepted", "operation.accepted", "operation.applied", "operation.rejected"]


def test_worker_that_knows_the_truststore_does_not_read_it_again(database: Database) -> None:
    pipeline = Pipeline(database)
    for number in range(30):
        pipeline.add(f"web-{number}", made=self_signed(f"web-{number}.example"))
    pipeline.run()
    pipeline.add("one-more")
    pipeline.validate()
    pipeline.later(seconds=1)
    read: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *event: read.append(event[2]))

    pipeline.apply()

    assert not [one for one in read if one.startswith("SELECT") and "FROM truststore_entry" in one]


def count(database: Database, table: object) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]
