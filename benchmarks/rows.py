"""What a benchmark gives: rows, each with what was to be reached, what was measured, and where the time went."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One number. `reached` is None where it could not be compared; `facts` explain it, in the units they name."""

    measure: str
    reach: str
    measured: str
    reached: bool | None = None
    facts: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The answer in a word."""
        return {True: "reached", False: "MISSED", None: ""}[self.reached]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Describe milliseconds: median, 99th percentile, most."""
    numbers = {"p50": statistics.median(values), "p99": percentile(values, 99), "max": max(values)}
    return {name: round(value, 2) for name, value in numbers.items()}
