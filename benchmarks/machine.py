"""The machine at hand, as far as it explains the numbers."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from trustcast.storage import sqlite


def describe() -> dict[str, str | int | float]:
    """Return cores, versions and what a sync to disk costs."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),  # what else the machine was doing
        "processor": _processor(),
        "python": platform.python_version(),
        "sqlite": sqlite.version(),
        "sqlite_journal": sqlite.journal_mode(),
        "fsync_p50_ms": round(_sync_milliseconds(), 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_milliseconds() -> float:
    with tempfile.TemporaryFile() as file:
        taken = []
        for _ in range(100):
            os.pwrite(file.fileno(), b"x" * 4096, 0)
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000
