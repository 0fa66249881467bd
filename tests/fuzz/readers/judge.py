"""One execution and what is wrong with it: anything raised, more than a second, or much memory."""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

MOST_SECONDS = 1.0
"""Of the processor, so that a busy machine changes nothing."""
MOST_BYTES = 64 * 1024 * 1024
"""By which one execution may make the process larger than it ever was."""

HUNG_SECONDS = 10.0
_KILOBYTE = 1 if sys.platform == "darwin" else 1024
_HERE = Path(__file__).parents[3]


class HungError(BaseException):
    """It did not end by itself. None of `Exception`, so that nobody takes it for an error of theirs."""


@dataclass(frozen=True)
class Failure:
    """`kind` is `raised`, `slow` or `memory`; `where` is the same for the same fault; `told` is for a person."""

    kind: str
    where: str
    told: str


@dataclass(frozen=True)
class Judged:
    """What an execution took, and what was wrong with it."""

    seconds: float
    failure: Failure | None


def judge(
    run: Callable[[bytes], object],
    data: bytes,
    *,
    most_seconds: float = MOST_SECONDS,
    hung_seconds: float = HUNG_SECONDS,
) -> Judged:
    """Run `run` on `data`, in the main thread; after `hung_seconds` of the processor it is stopped."""
    largest, begun = largest_so_far(), time.thread_time()
    failure = _raised(run, data, hung_seconds)
    seconds, more = time.thread_time() - begun, largest_so_far() - largest
    if failure is None and more > MOST_BYTES:
        failure = Failure("memory", "", f"The process grew by {more // 1024 // 1024} MB.")
    if failure is None and seconds > most_seconds:
        failure = Failure("slow", f"{int(seconds).bit_length()}", f"It took {seconds:.2f} s of the processor.")
    return Judged(seconds, failure)


def _raised(run: Callable[[bytes], object], data: bytes, hung_seconds: float) -> Failure | None:
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, hung_seconds)
    try:
        run(data)
    except (Exception, HungError) as error:  # noqa: BLE001 - that is what is looked for
        return Failure("raised", _place(error), "".join(traceback.format_exception(error)))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def _stop(number: int, frame: FrameType | None) -> None:
    raise HungError("It does not end.")


def _place(error: BaseException) -> str:
    """The kind of error and the innermost line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_HERE)]
    return f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else repr(error)


def largest_so_far() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTE
