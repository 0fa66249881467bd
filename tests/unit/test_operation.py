"""Which states of an operation are its end, and which are on the way to it."""

from __future__ import annotations

from trustcast.domain.operation import ENDED, JUDGED, PENDING, State


def test_every_state_is_either_pending_or_an_end() -> None:
    assert set(PENDING) | ENDED == set(State)
    assert ENDED.isdisjoint(PENDING)


def test_an_operation_ends_applied_rejected_or_failed() -> None:
    assert {State.APPLIED, State.REJECTED, State.FAILED} == ENDED


def test_whatever_ended_or_was_validated_is_judged() -> None:
    assert set(State) - JUDGED == {State.RECEIVED}
