"""How long to wait before trying again: longer each time, never in step with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Random = Callable[[float, float], float]
    """As `random.uniform`: a number between the two."""


def delays(*, first: float, most: float, uniform: Random) -> Iterator[float]:
    """Yield seconds without end: doubling from `first` up to `most`, each drawn between its half and itself."""
    delay = first
    while True:
        yield uniform(delay / 2, delay)
        delay = min(delay * 2, most)
