"""One process works for the others that were asked meanwhile, and nothing that was asked for is left undone."""

from __future__ import annotations

import mmap
import os
import signal
import struct
from collections.abc import Callable

import pytest

from trustcast_worker.one_at_a_time import OneAtATime

ASKING, TIMES = 4, 300
_NUMBERS = struct.Struct(f"{ASKING}q")


def forked(work: Callable[[], None]) -> int:
    """Call `work` in a child; return its process id."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_work_is_begun_after_each_time_that_it_was_asked_for() -> None:
    turns, asked, seen = OneAtATime(), mmap.mmap(-1, _NUMBERS.size), mmap.mmap(-1, _NUMBERS.size)

    def look() -> None:
        seen[:] = asked[:]

    def ask(place: int) -> None:
        for number in range(1, TIMES + 1):
            asked[place * 8 : place * 8 + 8] = struct.pack("q", number)
            turns.do(look)

    for child in [forked(lambda place=place: ask(place)) for place in range(ASKING)]:  # type: ignore[misc]
        os.waitpid(child, 0)

    assert _NUMBERS.unpack(seen[:]) == (TIMES,) * ASKING


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_who_is_asked_while_another_works_goes_away_and_the_other_works_again() -> None:
    turns, begun = OneAtATime(), mmap.mmap(-1, 1)
    ready, go = os.pipe(), os.pipe()

    def work() -> None:
        begun[0] += 1
        if begun[0] == 1:
            os.write(ready[1], b"!")
            os.read(go[0], 1)

    child = forked(lambda: turns.do(work))
    os.read(ready[0], 1)
    turns.do(lambda: pytest.fail("it is the other's turn"))
    os.write(go[1], b"!")
    os.waitpid(child, 0)
    for end in (*ready, *go):
        os.close(end)

    assert begun[0] == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_turn_of_a_process_that_was_killed_is_free() -> None:
    turns, ready, done = OneAtATime(), os.pipe(), list[str]()

    def work() -> None:
        os.write(ready[1], b"!")
        signal.pause()

    child = forked(lambda: turns.do(work))
    os.read(ready[0], 1)

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    turns.do(lambda: done.append("done"))
    for end in ready:
        os.close(end)

    assert done == ["done"]
