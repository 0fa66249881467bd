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
# Whoever forges hints on the bus must not make this node ask without end: so long after one that brought no news,
_UNFOUNDED_PAUSE = 0.2
# and during trouble never before this share of the pause is over.
_DEAF_SHARE = 0.25
# A look so long after an install finds the whole second over in which it was.
_SETTLING_SECONDS = 2.0
log = structlog.get_logger("trustcast.gateway")


class Wake:
    """Where hints arrive; many of them are one. Thread-safe.

    A hint that claims no more than what was learned is no news and wakes nobody.
    """

    def __init__(self) -> None:
        self._known = 0
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._claimed = 0
        self._blank = False

    def hint(self, generation: int | None = None) -> None:
        """Ask for a look; `generation` is what the hint claims, if anything."""
        with self._lock:
            if generation is not None and generation <= self._known:
                return
            self._claimed = max(self._claimed, generation or 0)
            self._blank |= generation is None
            self._news.set()

    def learn(self, generation: int) -> bool:
        """Note what the api states, which also answers the hints that claim no more; return whether it is news."""
        with self._lock:
            before, self._known = self._known, generation
            if self._claimed <= generation and not self._blank:
                self._news.clear()
        return generation > before

    def forget(self) -> None:
        """Let every hint count: what was learned could not be made so."""
        with self._lock:
            self._known = 0

    def wait(self, seconds: float) -> int | None:
        """Wait for a hint, at most `seconds`; return the highest generation claimed (0: no claim), None for no hint."""
        self._news.wait(seconds)
        with self._lock:
            claimed = self._claimed if self._news.is_set() else None
            self._news.clear()
            self._claimed, self._blank = 0, False
        return claimed


def follow(
    refresh: Callable[[], int],
    wake: Wake,
    stop: threading.Event,
    *,
    tick_seconds: float,
    uniform: Random,
    unsettled: Callable[[], bool] = lambda: False,
) -> None:
    """Call `refresh` at once, then for every hint and every tick; return when `stop` is set and `wake` is hinted.

    `refresh` returns the generation that the api states. When it raises a `TrustcastError` it is called again, soon at
    first, then less and less often down to once a tick; what is wrong is said once. A hint that brings news is followed
    at once. While `unsettled`, the next look is two seconds away at most.
    """
    trouble = _Trouble(most=tick_seconds, uniform=uniform)
    claimed: int | None = None
    while not stop.is_set():
        try:
            stated = refresh()
        except TrustcastError as error:
            wake.forget()
            pause = trouble.pause_after(error)
            stop.wait(pause * _DEAF_SHARE)
            claimed = wake.wait(pause * (1 - _DEAF_SHARE))
            continue
        trouble.is_over()
        is_news = wake.learn(stated)
        if claimed is not None:
            _doubt(claimed, stated, stop, is_news=is_news)
        tick = uniform(tick_seconds * (1 - TICK_JITTER), tick_seconds * (1 + TICK_JITTER))
        claimed = wake.wait(min(tick, _SETTLING_SECONDS) if unsettled() else tick)


def _doubt(claimed: int, stated: int, stop: threading.Event, *, is_news: bool) -> None:
    """Say what a hint claimed in vain, and take a pause after one that brought nothing."""
    if claimed > stated:
        log.warning("hint_unfounded", claimed=claimed, generation=stated)
    if not is_news:
        stop.wait(_UNFOUNDED_PAUSE)


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
