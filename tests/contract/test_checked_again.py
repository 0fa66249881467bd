"""Refuse before you store, and again before you distribute: time has passed, and a policy may have changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.certificates import authority, self_signed
from tests.contract.test_apply_changes import count, fates
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.operation import Kind
from trustcast.storage import audit
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob
from trustcast_api import rotate
from trustcast_api.request import Request


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """A worker that has applied `old`."""
    pipeline = Pipeline(database)
    pipeline.add("old")
    pipeline.run()
    return pipeline


def test_certificate_that_expires_while_it_waits_is_not_distributed(pipeline: Pipeline) -> None:
    ids = [pipeline.add("web", made=self_signed("web.example", days=1)), pipeline.add("other")]
    pipeline.validate()
    assert fates(pipeline, ids) == ["validated", "validated"]

    pipeline.later(days=2)
    pipeline.apply()

    assert fates(pipeline, ids) == ["certificate_expired", "applied"]
    assert pipeline.trusted() == {"old", "other"}
    pipeline.assert_sound()


def test_replacement_that_expires_while_it_waits_leaves_the_old_certificate(pipeline: Pipeline) -> None:
    before = pipeline.entries()
    replacement = pipeline.replace("old", self_signed("old.example", days=1))
    pipeline.validate()

    pipeline.later(days=2)
    pipeline.apply()

    assert (fates(pipeline, [replacement]), pipeline.entries()) == (["certificate_expired"], before)
    assert pipeline.status().generation == 1


def test_policy_that_changed_meanwhile_counts(pipeline: Pipeline) -> None:
    made = authority()
    scheduled = pipeline.add("root", made=made, ca=True, activate_at=pipeline.at + timedelta(hours=1))
    waiting = pipeline.add("second", made=authority("Second CA"), ca=True)
    pipeline.validate()
    assert fates(pipeline, [scheduled, waiting]) == ["validated", "validated"]

    pipeline.set_policy(allow_ca=False)
    pipeline.later(hours=2)
    pipeline.apply()

    assert fates(pipeline, [scheduled, waiting]) == ["ca_forbidden", "ca_forbidden"]
    assert (pipeline.trusted(), count(pipeline.database, certificate_blob)) == ({"old"}, 1)


def test_number_of_certificates_that_an_endpoint_may_have_is_the_tenants_when_it_is_applied(pipeline: Pipeline) -> None:
    ids = [pipeline.add(alias, "https://old.example:443", self_signed("old.example")) for alias in ("a", "b")]
    pipeline.validate()
    pipeline.set_policy(certificates_per_endpoint=2)
    pipeline.later(seconds=1)

    pipeline.apply()

    assert fates(pipeline, ids) == ["applied", "endpoint_has_certificate"]


def test_policy_of_one_tenant_is_nobody_elses(pipeline: Pipeline) -> None:
    tenant = pipeline.tenant(7)
    pipeline.set_policy(allow_ca=False, certificates_per_endpoint="unlimited")
    ids = [
        pipeline.add(alias, "https://x.example:443", made=authority(alias), ca=True, who=tenant) for alias in ("a", "b")
    ]

    pipeline.run()

    found = [pipeline.operation(one, 7) for one in ids]
    assert [one.problem["code"] if one.problem else one.state for one in found] == [
        "applied",
        "endpoint_has_certificate",
    ]


def test_administrators_word_on_what_has_expired_holds_until_it_is_applied(pipeline: Pipeline) -> None:
    expired = self_signed("web.example", days=1)
    wanted = Request(
        kind=Kind.ADD, alias="web", endpoint="https://web.example:443", certificate=expired.der, accept_expired=True
    )
    taken_over = pipeline.accept(wanted)
    pipeline.validate()

    pipeline.later(days=2)
    pipeline.apply()

    assert fates(pipeline, [taken_over]) == ["applied"]


def test_rotation_ends_although_its_certificate_expired_since_it_began(pipeline: Pipeline) -> None:
    """It is trusted already, and no gateway is better off with two."""
    pipeline.rotate("old", self_signed("old.example", days=1))
    pipeline.run()
    pipeline.later(days=2)
    finish = pipeline.accept(rotate.finish("old"), who=ADMIN)

    pipeline.run()

    assert (fates(pipeline, [finish]), pipeline.trusted()) == (["applied"], {"old"})


def test_refusal_is_audited_and_says_which_field(pipeline: Pipeline) -> None:
    refused = pipeline.add("web", made=self_signed("web.example", days=1))
    pipeline.validate()
    pipeline.later(days=2)
    pipeline.apply()

    problem = pipeline.operation(refused).problem or {}
    with pipeline.database.reading() as transaction:
        actions = transaction.execute(select(audit_event.c.action).order_by(audit_event.c.sequence)).scalars().all()
        audit.verify(transaction)
    assert (problem["kind"], problem["field"], actions[-1]) == ("Rejected", "certificate", "operation.rejected")
