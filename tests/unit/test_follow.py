"""When a listener looks: at start, on hints, on the tick, and again after trouble."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog

from trustcast.domain.errors import Unavailable
from trustcast_gateway.backoff import delays
from trustcast_gateway.follow import Wake, follow


def middle(low: float, high: float) -> float:
    return (low + high) / 2


class Looking:
    """Counts the refreshes; each returns or raises what `answer` says, in `seconds`."""

    def __init__(self, answer: Callable[[], int] = lambda: 1, seconds: float = 0.0) -> None:
        self.count = 0
        self.answer = answer
        self.seconds = seconds

    def __call__(self) -> int:
        self.count += 1
        time.sleep(self.seconds)
        return self.answer()

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + 5
        while self.count < count:
            assert time.monotonic() < until, f"{self.count} refreshes instead of {count}"
            time.sleep(0.001)


@contextmanager
def following(looking: Looking, *, tick: float = 60.0, unsettled: Callable[[], bool] = lambda: False) -> Iterator[Wake]:
    wake, stop = Wake(), threading.Event()
    options = {"tick_seconds": tick, "uniform": middle, "unsettled": unsettled}
    thread = threading.Thread(target=follow, args=(looking, wake, stop), kwargs=options)
    thread.start()
    try:
        looking.wait_for(1)
        yield wake
    finally:
        stop.set()
        wake.hint()
        thread.join(2)
        assert not thread.is_alive()


def away() -> int:
    raise Unavailable("api_unreachable", "Nobody answers.")


def test_start_is_a_reason_to_look() -> None:
    looking = Looking()

    with following(looking):
        time.sleep(0.05)

    assert looking.count == 1


def test_hint_is_followed_at_once() -> None:
    looking = Looking()
    with following(looking) as wake:
        started = time.monotonic()
        wake.hint(2)
        looking.wait_for(2)

    assert time.monotonic() - started < 0.5


def test_many_hints_during_one_refresh_are_one() -> None:
    answers = itertools.chain([1], itertools.repeat(101))
    looking = Looking(lambda: next(answers), seconds=0.05)
    with following(looking) as wake:
        for number in range(100):
            wake.hint(2 + number)
        looking.wait_for(2)
        time.sleep(0.2)

    assert looking.count == 2


def test_hint_of_what_the_refresh_under_way_finds_is_answered_by_it() -> None:
    looking = Looking(lambda: 7, seconds=0.05)
    with following(looking) as wake:
        wake.hint(7)
        time.sleep(0.3)

    assert looking.count == 1


def test_hints_that_bring_news_are_followed_one_after_the_other_without_a_pause() -> None:
    looking = Looking(lambda: looking.count)  # each look finds one generation more
    with following(looking) as wake:
        time.sleep(0.05)
        started = time.monotonic()
        for generation in range(2, 22):
            wake.hint(generation)
            looking.wait_for(generation)

    assert time.monotonic() - started < 1


def flood(wake: Wake, claim: int | None, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wake.hint(claim)
        time.sleep(0.0005)


def test_flood_of_hints_that_claim_nothing_makes_few_looks() -> None:
    looking = Looking()
    with following(looking) as wake:
        flood(wake, None, seconds=1)

    assert 3 <= looking.count <= 7


@pytest.mark.parametrize("claim", [None, 999])
def test_flood_of_hints_does_not_end_the_pauses_of_trouble(claim: int | None) -> None:
    """With a quarter of 0.375, 0.75, 1.5 … seconds in between."""
    looking = Looking(away)
    with following(looking) as wake:
        flood(wake, claim, seconds=1)

    assert 2 <= looking.count <= 5


def test_unsettled_node_looks_again_before_the_tick() -> None:
    looking = Looking()
    with following(looking, unsettled=lambda: looking.count < 2):
        started = time.monotonic()
        looking.wait_for(2)
        waited = time.monotonic() - started
        time.sleep(0.05)

    assert 1.5 < waited < 2.5
    assert looking.count == 2


def test_stop_ends_every_pause() -> None:
    for answer in [away, lambda: 1]:
        looking = Looking(answer)
        with following(looking) as wake:
            flood(wake, None, seconds=0.3)
            started = time.monotonic()

        assert time.monotonic() - started < 1


def test_hint_of_what_is_known_wakes_nobody() -> None:
    looking = Looking(lambda: 7)
    with following(looking) as wake:
        time.sleep(0.05)
        wake.hint(7)
        wake.hint(3)
        time.sleep(0.05)

    assert looking.count == 1


def test_hint_without_a_number_always_wakes() -> None:
    looking = Looking(lambda: 7)
    with following(looking) as wake:
        wake.hint(None)
        looking.wait_for(2)

    assert looking.count == 2


def test_tick_looks_without_any_hint() -> None:
    looking = Looking()
    with following(looking, tick=0.02):
        looking.wait_for(4)

    assert looking.count >= 4


def test_tick_is_spread_by_a_fifth() -> None:
    asked: list[tuple[float, float]] = []
    stop, wake = threading.Event(), Wake()

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        stop.set()
        return 0.0

    follow(lambda: 1, wake, stop, tick_seconds=30, uniform=uniform)

    assert asked == [(24.0, 36.0)]


def test_hint_of_more_than_the_api_states_is_logged_and_slows_the_forger_down() -> None:
    looking = Looking()
    with structlog.testing.capture_logs() as lines, following(looking) as wake:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            wake.hint(999)
            time.sleep(0.001)

    assert {"event": "hint_unfounded", "claimed": 999, "generation": 1, "log_level": "warning"} in lines
    assert looking.count <= 5


def test_trouble_is_said_once_and_its_end_once() -> None:
    looking = Looking(away)
    with structlog.testing.capture_logs() as lines, following(looking, tick=0.01):
        looking.wait_for(5)
        looking.answer = lambda: 1
        looking.wait_for(8)

    assert [line["event"] for line in lines] == ["refresh_failed", "refresh_recovered"]


def test_hint_is_followed_during_trouble_too() -> None:
    looking = Looking(away)
    with following(looking) as wake:
        wake.hint(1)
        looking.wait_for(2)
        wake.hint(1)
        looking.wait_for(3)

    assert looking.count == 3


def test_hint_of_what_was_known_wakes_while_it_cannot_be_installed() -> None:
    looking = Looking(lambda: 7)
    with following(looking) as wake:
        time.sleep(0.05)
        looking.answer = away
        wake.hint(8)
        looking.wait_for(2)
        time.sleep(0.05)
        started = time.monotonic()
        wake.hint(7)
        looking.wait_for(3)

    assert time.monotonic() - started < 0.25


def test_bug_is_not_swallowed() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        follow(broken, Wake(), threading.Event(), tick_seconds=1, uniform=middle)


def test_delays_double_up_to_the_most_and_differ_between_nodes() -> None:
    longest = delays(first=0.5, most=30, uniform=lambda _, high: high)
    shortest = delays(first=0.5, most=30, uniform=lambda low, _: low)

    assert list(itertools.islice(longest, 8)) == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert list(itertools.islice(shortest, 3)) == [0.25, 0.5, 1]
