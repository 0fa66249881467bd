"""A request with a time of activation: judged at once, applied when it is due, in nobody's way until then."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.certificates import self_signed
from tests.contract.test_apply_changes import Poisoned, count, fates, poison
from tests.contract.test_replace import hold_back
from tests.pipeline import ADMIN, Pipeline, Postbox
from trustcast.domain.errors import Conflict, NotFound
from trustcast.domain.messages import OperationValidated
from trustcast.domain.operation import Kind, State
from trustcast.storage import audit, outbox
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob, operation_chain
from trustcast_api.problems import ForbiddenError
from trustcast_api.request import Request
from trustcast_api.schemas_of_operations import OperationBody, OperationSummary
from trustcast_worker.announce_expiry import remove_expired
from trustcast_worker.apply_changes import blame
from trustcast_worker.validate_uploads import ATTEMPTS


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def soon(pipeline: Pipeline, **by: float) -> datetime:
    return pipeline.at + timedelta(**by or {"minutes": 10})


def wait_for_it(pipeline: Pipeline) -> None:
    pipeline.later(minutes=10)
    pipeline.run()
    pipeline.assert_sound()


def warned_of(pipeline: Pipeline, id: str) -> list[str]:  # noqa: A002
    """What the operation warns of wherever it is shown."""
    one = pipeline.operation(id)
    in_short, in_full = OperationSummary.of(one, {}), OperationBody.of(one, {}, [])
    assert in_short.warnings == in_full.warnings
    return [each.code for each in in_full.warnings]


def woken(pipeline: Pipeline) -> bool:
    """Whether a sweep wakes whoever applies."""
    outbox.drain(pipeline.database, Postbox())
    pipeline.sweep()
    box = Postbox()
    outbox.drain(pipeline.database, box)
    return any(isinstance(message, OperationValidated) for message in box.taken)


def test_scheduled_upload_is_judged_at_once_and_applied_when_it_is_due(pipeline: Pipeline) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))

    pipeline.run()
    assert (pipeline.operation(scheduled).state, pipeline.trusted()) == (State.VALIDATED, set())
    assert [one["code"] for one in pipeline.operation(scheduled).warnings][:1] == ["activates_later"]

    wait_for_it(pipeline)
    assert (pipeline.operation(scheduled).state, pipeline.trusted()) == (State.APPLIED, {"web"})


@pytest.mark.parametrize("fate", ["applied", "called off"])
def test_nobody_is_told_to_wait_for_what_has_ended(pipeline: Pipeline, fate: str) -> None:
    made = self_signed("web.example", days=9)
    scheduled = pipeline.add("web", made=made, activate_at=soon(pipeline))
    pipeline.run()
    before = warned_of(pipeline, scheduled)

    if fate == "called off":
        pipeline.call_off(scheduled)
    wait_for_it(pipeline)

    assert before[0] == "activates_later"
    assert warned_of(pipeline, scheduled) == before[1:] != []


def test_scheduled_upload_that_no_policy_accepts_is_refused_at_once(pipeline: Pipeline) -> None:
    expired_by_then = self_signed("web.example", days=30)
    scheduled = pipeline.add("web", made=expired_by_then, activate_at=soon(pipeline, days=31))

    pipeline.run()

    assert fates(pipeline, [scheduled]) == ["certificate_expired"]


def test_certificate_of_tomorrow_is_trusted_from_tomorrow_on(pipeline: Pipeline) -> None:
    pipeline.set_policy(allow_not_yet_valid=True)
    tomorrow = soon(pipeline, days=1).replace(microsecond=0)
    scheduled = pipeline.add("web", made=self_signed("web.example", not_before=tomorrow), activate_at=tomorrow)
    pipeline.run()
    assert fates(pipeline, [scheduled]) == ["validated"]

    pipeline.later(days=1)
    pipeline.run()

    assert pipeline.trusted() == {"web"}


def test_scheduled_request_holds_up_nobody(pipeline: Pipeline) -> None:
    """Neither what shares its alias, endpoint or certificate, nor what changes places with nobody."""
    pipeline.add("old")
    pipeline.run()
    made = self_signed("x.example")
    scheduled = [
        pipeline.add("x", made=made, activate_at=soon(pipeline)),
        pipeline.replace("old", activate_at=soon(pipeline)),
    ]
    pipeline.validate()

    ids = [pipeline.add("y", "https://x.example:443", made), pipeline.delete("old"), pipeline.add("z")]
    pipeline.run()

    assert fates(pipeline, ids) == ["applied"] * 3
    assert fates(pipeline, scheduled) == ["validated"] * 2


def test_scheduled_request_without_a_verdict_holds_up_nobody(pipeline: Pipeline) -> None:
    pipeline.add("x", activate_at=soon(pipeline))
    hold_back(pipeline)

    other = pipeline.add("x", "https://other.example:443")
    pipeline.validate()
    pipeline.apply()  # at once: nothing is waited for

    assert fates(pipeline, [other]) == ["applied"]


def test_who_comes_meanwhile_wins_and_the_scheduled_one_is_refused_when_it_is_due(pipeline: Pipeline) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))
    pipeline.validate()
    now = pipeline.add("web", "https://other.example:443")
    pipeline.run()
    assert fates(pipeline, [scheduled, now]) == ["validated", "applied"]

    wait_for_it(pipeline)

    assert fates(pipeline, [scheduled, now]) == ["alias_exists", "applied"]
    assert count(pipeline.database, certificate_blob) == 1


def test_two_for_the_same_alias_at_the_same_time_are_taken_in_the_order_of_acceptance(pipeline: Pipeline) -> None:
    ids = [pipeline.add("web", f"https://{at}.example:443", activate_at=soon(pipeline)) for at in ("a", "b")]
    pipeline.run()

    wait_for_it(pipeline)

    assert fates(pipeline, ids) == ["applied", "alias_exists"]


def test_due_request_goes_before_what_came_after_it(pipeline: Pipeline) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))
    pipeline.validate()
    pipeline.later(minutes=10)
    later = pipeline.add("web", "https://other.example:443")

    pipeline.run()

    assert fates(pipeline, [scheduled, later]) == ["applied", "alias_exists"]


def test_scheduled_replacement_takes_the_place_when_it_is_due(pipeline: Pipeline) -> None:
    old, new = self_signed("web.example"), self_signed("web.example")
    pipeline.add("web", made=old)
    pipeline.run()

    pipeline.replace("web", new, activate_at=soon(pipeline))
    pipeline.run()
    assert pipeline.entries() == {"web": old.fingerprint_sha256}

    wait_for_it(pipeline)
    assert pipeline.entries() == {"web": new.fingerprint_sha256}


def test_if_match_of_a_scheduled_replacement_is_looked_at_when_it_is_due(pipeline: Pipeline) -> None:
    old = self_signed("web.example")
    pipeline.add("web", made=old)
    pipeline.run()
    scheduled = pipeline.replace("web", if_match=old.fingerprint_sha256, activate_at=soon(pipeline))
    pipeline.validate()
    pipeline.replace("web")
    pipeline.run()

    wait_for_it(pipeline)

    assert fates(pipeline, [scheduled]) == ["precondition_failed"]


def test_replacement_of_what_is_gone_by_then_is_refused(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    scheduled = pipeline.replace("web", activate_at=soon(pipeline))
    pipeline.delete("web")
    pipeline.run()

    wait_for_it(pipeline)

    assert fates(pipeline, [scheduled]) == ["certificate_not_found"]


def test_rotation_can_be_scheduled(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    pipeline.rotate("web", activate_at=soon(pipeline))
    pipeline.run()
    assert pipeline.trusted() == {"web"}

    wait_for_it(pipeline)
    assert pipeline.trusted() == {"web", "web.next"}


def test_expired_certificate_stays_until_its_scheduled_successor_comes(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("web.example", days=1))
    pipeline.run()
    scheduled = pipeline.replace("web", activate_at=soon(pipeline, days=2))
    pipeline.run()
    with pipeline.database.writing() as transaction:
        transaction.exec_driver_sql("UPDATE tenant SET on_expiry = 'remove'")
        transaction.commit()

    pipeline.later(days=1.5)
    assert remove_expired(pipeline.database, at=pipeline.at) == []
    pipeline.later(days=1)
    pipeline.run()

    assert fates(pipeline, [scheduled]) == ["applied"]


def test_sweep_wakes_nobody_before_the_time_and_somebody_after_it(pipeline: Pipeline) -> None:
    pipeline.add("web", activate_at=soon(pipeline))
    pipeline.validate()
    pipeline.later(minutes=9)
    assert not woken(pipeline)

    pipeline.later(minutes=1)
    assert woken(pipeline)


def test_sweep_wakes_somebody_even_for_what_was_scheduled_a_moment_ahead(pipeline: Pipeline) -> None:
    """No other wake-up is on its way for it, so none is waited for."""
    pipeline.add("web", activate_at=soon(pipeline, seconds=1))
    pipeline.validate()

    pipeline.later(seconds=1)

    assert woken(pipeline)


def test_sweep_leaves_what_has_no_time_to_the_wake_up_that_is_on_its_way(pipeline: Pipeline) -> None:
    pipeline.add("web", activate_at=soon(pipeline, minutes=-1))
    pipeline.validate()

    pipeline.later(seconds=1)

    assert not woken(pipeline)


def test_verdict_about_what_is_scheduled_wakes_nobody(pipeline: Pipeline) -> None:
    pipeline.add("web", activate_at=soon(pipeline))
    outbox.drain(pipeline.database, Postbox())

    pipeline.validate()

    assert outbox.drain(pipeline.database, Postbox()) == 0


def test_scheduled_request_is_blamed_for_nothing_before_its_time(pipeline: Pipeline) -> None:
    made = self_signed("bad.example")
    scheduled = pipeline.add("later", activate_at=soon(pipeline))
    bad = pipeline.add("bad", made=made)
    poison(pipeline.database, made.fingerprint_sha256)
    pipeline.validate()

    for _ in range(ATTEMPTS):
        pipeline.later(seconds=3)
        with pytest.raises(Poisoned):
            pipeline.apply()
        blame(pipeline.database, at=pipeline.at)
    pipeline.sweep()

    assert fates(pipeline, [scheduled, bad]) == ["validated", "attempts_exhausted"]
    assert pipeline.operation(scheduled).attempts == 0


def test_called_off_request_is_never_applied(pipeline: Pipeline) -> None:
    root = self_signed("root.example", ca=True)
    wanted = Request(
        kind=Kind.ADD,
        alias="web",
        endpoint="https://web.example:443",
        certificate=self_signed("web.example").der,
        chain=(root.der,),
        activate_at=soon(pipeline),
    )
    scheduled = pipeline.accept(wanted)
    pipeline.run()

    body = pipeline.call_off(scheduled).body
    wait_for_it(pipeline)

    assert (body["state"], body["problem"]["code"], body["problem"]["status"]) == ("rejected", "cancelled", 409)
    assert (fates(pipeline, [scheduled]), pipeline.trusted()) == (["cancelled"], set())
    assert count(pipeline.database, certificate_blob) == count(pipeline.database, operation_chain) == 0


def test_who_called_it_off_is_in_the_audit_chain(pipeline: Pipeline) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))

    pipeline.call_off(scheduled)

    with pipeline.database.reading() as transaction:
        rows = transaction.execute(select(audit_event.c.actor, audit_event.c.action, audit_event.c.facts)).all()
        audit.verify(transaction)
    assert (rows[-1].actor, rows[-1].action) == ("admin", "operation.cancelled")
    assert scheduled in rows[-1].facts


def test_verdict_that_comes_after_it_was_called_off_changes_nothing(pipeline: Pipeline) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))
    hold_back(pipeline)
    pipeline.call_off(scheduled)

    pipeline.later(seconds=60)
    pipeline.run()

    assert fates(pipeline, [scheduled]) == ["cancelled"]


@pytest.mark.parametrize("state", ["at once", "due", "applied", "refused", "called off"])
def test_only_what_is_still_to_come_can_be_called_off(pipeline: Pipeline, state: str) -> None:
    at = None if state == "at once" else soon(pipeline)
    made = self_signed("web.example", days=0.001) if state == "refused" else None
    asked = pipeline.add("web", made=made, activate_at=at)
    pipeline.run()
    if state in {"due", "applied"}:
        pipeline.later(minutes=10)
    if state == "applied":
        pipeline.run()
    if state == "called off":
        pipeline.call_off(asked)
    before = pipeline.operation(asked)

    with pytest.raises(Conflict) as refused:
        pipeline.call_off(asked)

    assert refused.value.code == "operation_not_scheduled"
    assert pipeline.operation(asked) == before


def test_nobody_calls_off_what_another_tenant_asked_for(pipeline: Pipeline) -> None:
    tenant = pipeline.tenant(7)
    scheduled = pipeline.add("web", activate_at=soon(pipeline))

    with pytest.raises(NotFound):
        pipeline.call_off(scheduled, who=tenant)

    assert fates(pipeline, [scheduled]) == ["received"]


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        ({"alias_prefixes": ("other",)}, "alias_not_allowed"),
        ({"scopes": frozenset({"apim:ep_certificates_update"})}, "forbidden"),
    ],
)
def test_who_may_not_ask_for_it_may_not_call_it_off(pipeline: Pipeline, bounds: dict[str, Any], code: str) -> None:
    scheduled = pipeline.add("web", activate_at=soon(pipeline))
    bounded: dict[str, Any] = {"scopes": frozenset({"apim:ep_certificates_add"}), "alias_prefixes": None} | bounds

    with pytest.raises(ForbiddenError) as refused:
        pipeline.call_off(scheduled, who=replace(ADMIN, **bounded))

    assert refused.value.code == code
    assert fates(pipeline, [scheduled]) == ["received"]


def test_what_is_scheduled_is_not_there_yet_for_who_asks_for_it_now(pipeline: Pipeline) -> None:
    pipeline.add("web", activate_at=soon(pipeline))
    pipeline.run()

    with pytest.raises(NotFound):
        pipeline.replace("web")
    with pytest.raises(NotFound):
        pipeline.delete("web")


def test_what_is_scheduled_is_there_for_who_comes_after_it(pipeline: Pipeline) -> None:
    pipeline.add("web", activate_at=soon(pipeline))
    new = self_signed("web.example")
    later = Request(kind=Kind.REPLACE, alias="web", certificate=new.der, activate_at=soon(pipeline, minutes=10))

    replaced = pipeline.accept(later)
    pipeline.run()
    wait_for_it(pipeline)

    assert fates(pipeline, [replaced]) == ["applied"]
    assert pipeline.entries() == {"web": new.fingerprint_sha256}


def test_called_off_or_applied_but_never_both(pipeline: Pipeline) -> None:
    """One clock is a moment behind the other, so that each of the two finds it its turn."""
    ids = [pipeline.add(f"web-{number}", activate_at=soon(pipeline)) for number in range(8)]
    pipeline.validate()
    behind = pipeline.at
    pipeline.later(minutes=10)
    other = Pipeline(pipeline.database, at=behind)
    together = threading.Barrier(2)

    def apply() -> None:
        together.wait()
        pipeline.apply()

    def call_off() -> list[str]:
        together.wait()
        done = []
        for one in ids:
            try:
                other.call_off(one)
            except Conflict:
                continue
            done.append(one)
        return done

    with ThreadPoolExecutor(2) as pool:
        applying, calling = pool.submit(apply), pool.submit(call_off)
        applying.result()
        called_off = calling.result()

    expected = ["cancelled" if one in called_off else "applied" for one in ids]
    assert fates(pipeline, ids) == expected
    assert pipeline.trusted() == {f"web-{number}" for number, fate in enumerate(expected) if fate == "applied"}
    pipeline.assert_sound()
