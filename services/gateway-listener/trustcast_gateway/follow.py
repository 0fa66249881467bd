"""Start-up, hints and the tick all lead to the same `refresh`: this decides when."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from trustcast.domain.errors import TrustcastError
from trustcast_gateway.backoff import delays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trustcast_gateway.backoff import Random

TICK_JITTER = 0.2
_FIRST_PAUSE = 0.5
# Whoever forges hints on the bus must not make this node ask without end.
_UNFOUNDED_PAUSE = 0.2
log = structlog.get_logger("trustcast.gateway")


class Wake:
    """Where hints arrive; many of them are one. Thread-safe.

    A hint that claims no more than `known` is no news and wakes nobody.
    """

    def __init__(self) -> None:
        self.known = 0
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._claimed = 0

    def hint(self, generation: int | None = None) -> None:
        """Ask for a look; `generation` is what the hint claims, if anything."""
        with self._lock:
            if generation is not None and generation <= self.known:
                return
            self._claimed = max(self._claimed, generation or 0)
        self._news.set()

    def wait(self, seconds: float) -> int:
        """Wait for a hint, at most `seconds`; return the highest generation claimed, 0 for none."""
        self._news.wait(seconds)
        self._news.clear()
        with self._lock:
            claimed, self._claimed = self._claimed, 0
        return claimed


def follow(
    refresh: Callable[[], int], wake: Wake, stop: threading.Event, *, tick_seconds: float, uniform: Random
) -> None:
    """Call `refresh` at once, then for every hint and every tick; return when `stop` is set and `wake` is hinted.

    `refresh` returns the generation that the api states. When it raises a `TrustcastError` it is called again, soon at
    first, then less and less often down to once a tick; what is wrong is said once.
    """
    trouble = _Trouble(most=tick_seconds, uniform=uniform)
    claimed = 0
    while not stop.is_set():
        try:
            stated = refresh()
        except TrustcastError as error:
            wake.known = 0
            claimed = wake.wait(trouble.pause_after(error))
            continue
        trouble.is_over()
        wake.known = stated
        if claimed > stated:
            log.warning("hint_unfounded", claimed=claimed, generation=stated)
            stop.wait(_UNFOUNDED_PAUSE)
        claimed = wake.wait(uniform(tick_seconds * (1 - TICK_JITTER), tick_seconds * (1 + TICK_JITTER)))


class _Trouble:
    """What goes wrong at the moment: said when it begins and when it is over, and how long to wait in between."""

    def __init__(self, *, most: float, uniform: Random) -> None:
        self._most, self._uniform = most, uniform
        self._pauses = self._fresh()
        self._code: str | None = None

    def _fresh(self) -> Iterator[float]:
        return delays(first=min(_FIRST_PAUSE, self._most), most=self._most, uniform=self._uniform)

    def pause_after(self, error: TrustcastError) -> float:
        if error.code != self._code:
            log.warning("refresh_failed", code=error.code, detail=error.detail)
        self._code = error.code
        return next(self._pauses)

    def is_over(self) -> None:
        if self._code is not None:
            log.info("refresh_recovered", was=self._code)
            self._code = None
            self._pauses = self._fresh()
