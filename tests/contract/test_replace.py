"""A certificate takes another one's place under the same alias: in one generation, with no moment without trust."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from tests.certificates import Made, authority, issued, self_signed
from tests.contract.test_apply_changes import count, fates
from tests.pipeline import Pipeline
from trustcast.domain.operation import State
from trustcast.storage import certificates, truststores, validation
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate, certificate_name, head, truststore_change
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def web() -> Made:
    return self_signed("web.example")


def test_replace_is_one_generation_that_changes_one_entry(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    new = web()

    replace = pipeline.replace("web", new)
    pipeline.run()

    with pipeline.database.reading() as transaction:
        changes = truststores.changes(transaction, "default", after=1)
    assert (dict(changes.put), changes.remove) == ({"web": new.fingerprint_sha256}, frozenset())
    assert pipeline.generations(replace) == {"default": 2}
    pipeline.assert_sound()


def test_replace_keeps_alias_and_endpoint_as_they_were(pipeline: Pipeline) -> None:
    pipeline.add("Web", "https://web.example:8443")
    pipeline.run()
    new = web()

    replace = pipeline.replace("WEB", new)
    pipeline.run()

    with pipeline.database.reading() as transaction:
        row = certificates.get(transaction, -1234, "web")
    assert (row.alias, row.endpoint, row.operation) == ("Web", "https://web.example:8443", replace)
    assert row.certificate == new.der


def test_same_certificate_again_succeeds_and_changes_nothing(pipeline: Pipeline) -> None:
    made = web()
    add = pipeline.add("web", made=made)
    pipeline.run()
    heads = count(pipeline.database, head)

    same = pipeline.replace("web", made)
    pipeline.run()

    assert fates(pipeline, [same]) == ["applied"]
    assert pipeline.generations(same) == {"default": 1}
    assert count(pipeline.database, head) == heads
    with pipeline.database.reading() as transaction:
        assert certificates.get(transaction, -1234, "web").operation == add


def test_same_certificate_again_has_converged_where_it_is_installed(pipeline: Pipeline) -> None:
    made = web()
    pipeline.enrol("g1", "g2")
    pipeline.add("web", made=made)
    pipeline.run()
    pipeline.report("g1", 1)

    same = pipeline.replace("web", made)
    pipeline.run()
    assert pipeline.operation(same).converged_at is None

    pipeline.report("g2", 1)
    assert pipeline.operation(same).converged_at is not None
    again = pipeline.replace("web", made)
    pipeline.run()
    assert pipeline.operation(again).converged_at is not None


def test_second_replace_of_a_batch_has_the_last_word(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    last = web()

    ids = [pipeline.replace("web", web()), pipeline.replace("web", last)]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.entries() == {"web": last.fingerprint_sha256}
    assert [pipeline.generations(one) for one in ids] == [{"default": 2}] * 2
    pipeline.assert_sound()


def test_there_and_back_within_a_batch_is_no_generation(pipeline: Pipeline) -> None:
    first = web()
    pipeline.add("web", made=first)
    pipeline.run()

    ids = [pipeline.replace("web", web()), pipeline.replace("web", first)]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.status().generation == 1
    assert count(pipeline.database, truststore_change) == 1
    pipeline.assert_sound()


def test_add_delete_and_add_within_a_batch_leave_the_last_one(pipeline: Pipeline) -> None:
    last = web()

    ids = [pipeline.add("web", made=web()), pipeline.delete("web"), pipeline.add("web", made=last)]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied"] * 3
    assert pipeline.entries() == {"web": last.fingerprint_sha256}
    assert [pipeline.generations(one) for one in ids] == [{"default": 1}] * 3
    pipeline.assert_sound()


def test_replace_follows_the_add_it_is_for(pipeline: Pipeline) -> None:
    last = web()

    ids = [pipeline.add("web", "https://web.example:8443"), pipeline.replace("web", last)]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "applied"]
    assert pipeline.operation(ids[1]).endpoint == "https://web.example:8443"
    assert pipeline.entries() == {"web": last.fingerprint_sha256}


def test_if_match_of_a_batch_is_held_against_what_stands_by_then(pipeline: Pipeline) -> None:
    first, second = web(), web()
    pipeline.add("web", made=first)
    pipeline.run()

    ids = [pipeline.replace("web", made, if_match=first.fingerprint_sha256) for made in (second, web())]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "precondition_failed"]
    assert (pipeline.operation(ids[1]).problem or {})["kind"] == "PreconditionFailed"
    assert pipeline.entries() == {"web": second.fingerprint_sha256}


def test_replace_of_what_is_gone_by_then_is_refused(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()

    ids = [pipeline.delete("web"), pipeline.replace("web")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied", "certificate_not_found"]


def test_replace_does_not_follow_the_alias_to_another_endpoint(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()

    replace = pipeline.replace("web")  # takes over the endpoint that stands now
    with pipeline.database.writing() as transaction:
        transaction.execute(certificate.update().values(endpoint="https://moved.example:443"))
        transaction.commit()
    pipeline.run()

    assert fates(pipeline, [replace]) == ["certificate_changed"]


def test_certificate_that_another_alias_has_is_refused_unless_that_one_changed_before(pipeline: Pipeline) -> None:
    one, other = self_signed("one.example"), self_signed("other.example")
    pipeline.add("one", made=one)
    pipeline.add("other", made=other)
    pipeline.run()

    refused = pipeline.replace("one", other)
    pipeline.run()
    ids = [pipeline.replace("other"), pipeline.replace("one", other)]
    pipeline.run()

    assert fates(pipeline, [refused, *ids]) == ["certificate_exists", "applied", "applied"]
    pipeline.assert_sound()


def test_nothing_overtakes_the_replace_that_frees_its_certificate(pipeline: Pipeline) -> None:
    made = web()
    pipeline.add("web", made=made)
    pipeline.run()
    replace = pipeline.replace("web")
    hold_back(pipeline)
    add = pipeline.add("other", made=made)

    pipeline.run()
    assert pipeline.operation(add).state is State.VALIDATED

    pipeline.later(seconds=60)
    pipeline.run()
    assert fates(pipeline, [replace, add]) == ["applied", "applied"]


def test_replaced_certificate_is_announced_anew(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    with pipeline.database.writing() as transaction:
        transaction.execute(certificate.update().values(expiry_announced=7))
        transaction.commit()

    pipeline.replace("web")
    pipeline.run()

    with pipeline.database.reading() as transaction:
        assert transaction.execute(select(certificate.c.expiry_announced)).scalar_one() is None


def test_names_follow_the_certificate(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("web.example", sans=["web.example", "*.Web.example"]))
    pipeline.run()
    assert names(pipeline) == {("web", "web.example"), ("web", "*.web.example")}

    pipeline.replace("web", self_signed("web.example", sans=["10.0.0.7"]))
    pipeline.run()
    assert names(pipeline) == {("web", "10.0.0.7")}

    pipeline.delete("web")
    pipeline.run()
    assert names(pipeline) == set()


def test_certification_authority_has_no_names(pipeline: Pipeline) -> None:
    pipeline.add("ca", made=authority(sans=["web.example"]), ca=True)
    pipeline.run()

    assert pipeline.trusted() == {"ca"}
    assert names(pipeline) == set()


def test_audit_names_the_certificate_before_and_after(pipeline: Pipeline) -> None:
    first, second = web(), issued(authority(), "web.example")
    pipeline.add("web", made=first)
    pipeline.replace("web", second)
    pipeline.delete("web")
    pipeline.run()

    with pipeline.database.reading() as transaction:
        rows = transaction.execute(select(audit_event.c.facts).where(audit_event.c.action == "operation.applied"))
        told = [facts(row.facts) for row in rows]
    assert told == [
        (None, first.fingerprint_sha256),
        (first.fingerprint_sha256, second.fingerprint_sha256),
        (second.fingerprint_sha256, None),
    ]


def facts(text: str) -> tuple[str | None, str | None]:
    told = json.loads(text)
    return told["before_sha256"], told["sha256"]


def names(pipeline: Pipeline) -> set[tuple[str, str]]:
    of = certificate_name.c
    with pipeline.database.reading() as transaction:
        return {(row.alias_key, row.name) for row in transaction.execute(select(of.alias_key, of.name))}


def hold_back(pipeline: Pipeline) -> None:
    """Let another worker take what waits for validation, and be slow."""
    with pipeline.database.writing() as transaction:
        validation.claim(transaction, worker="slow", at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=1)
        transaction.commit()
