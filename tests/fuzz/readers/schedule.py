"""All readers in turn, in several processes, until the time or the executions are used up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SLICE_SECONDS = 60.0
"""How long a process feeds one reader before it is another one's turn."""

_COVERAGE = re.compile(r"\bcov: (\d+)")
_LATEST = 180.0  # behind its time: libFuzzer ends what hangs in C before that
_NO_LATER = 5.0
_WAIT_SECONDS = 0.2


@dataclass
class Tally:
    """What came of a reader: `failures` has what is wrong by the names of files; `edges` is None if not counted."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    given: float = 0.0
    promised: int = 0
    edges: int | None = None
    slowest: float = 0.0
    slowest_bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Schedule:
    """Gives each reader as much time as the others, and no more executions than its part of them."""

    def __init__(self, targets: Sequence[str], folder: Path, *, seconds: float, executions: int) -> None:
        self.tallies = {name: Tally(name) for name in targets}
        self._folder, self._end, self._share = folder, time.monotonic() + seconds, -(-executions // len(targets))
        self._lock, self._numbers = threading.Lock(), count()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._slice = min(SLICE_SECONDS, seconds / len(targets))
        for name in ("corpus", "failures", "reports"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def run(self, processes: int, tell: Callable[[str], None]) -> None:
        """Feed the readers; `tell` hears of each process what it did."""
        with ThreadPoolExecutor(processes) as pool:
            lanes = [pool.submit(self._feed_in_turn, tell) for _ in range(processes)]
            try:
                for lane in lanes:
                    lane.result()
            except KeyboardInterrupt:
                self._end = 0.0
                for child in list(self._children):
                    child.terminate()
                raise

    def _feed_in_turn(self, tell: Callable[[str], None]) -> None:
        while (left := self._end - time.monotonic()) > min(_NO_LATER, self._slice / 2):
            chosen = self._next(left)
            if chosen is None and self._is_done():
                return
            if chosen is None:  # what others are at may take less than was promised to them
                time.sleep(_WAIT_SECONDS)
                continue
            target, number, seconds, executions = chosen
            log = self._folder / "reports" / f"{number}.log"
            self._feed(target, (str(number), str(seconds), str(executions)), log, seconds + _LATEST)
            report = self._reported(number)
            slow = {name for name, one in report.get("failures", {}).items() if one["kind"] == "slow"}
            excused = {name for name in slow if not self._fails_again(target, name)}
            with self._lock:
                self.tallies[target].promised -= executions
                tell(self._count(target, report, excused, log.read_text("utf-8", "replace")))

    def _feed(self, target: str, numbers: tuple[str, str, str], log: Path, late: float) -> None:
        module = "tests.fuzz.readers.explore"
        command = [sys.executable, "-W", "ignore", "-m", module, target, str(self._folder), *numbers]
        with log.open("wb") as output:
            # Ctrl-C is for this process alone: it ends the others.
            child = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        with child:
            self._children.add(child)
            try:
                child.wait(late)
            except subprocess.TimeoutExpired:
                child.kill()
            finally:
                self._children.discard(child)

    def _next(self, left: float) -> tuple[str, int, float, int] | None:
        """The reader that had the least time so far, of those that lack executions which nobody is at."""
        with self._lock:
            waiting = [one for one in self.tallies.values() if not one.failures and self._lacks(one) > one.promised]
            if not waiting:
                return None
            chosen, seconds = min(waiting, key=lambda one: one.given), min(self._slice, left)
            chosen.given += seconds
            executions = self._lacks(chosen) - chosen.promised
            chosen.promised += executions
            return chosen.target, next(self._numbers), seconds, executions

    def _is_done(self) -> bool:
        with self._lock:
            return all(one.failures or self._lacks(one) <= 0 for one in self.tallies.values())

    def _lacks(self, one: Tally) -> int:
        return self._share - one.executions

    def _reported(self, number: int) -> dict[str, Any]:
        report = self._folder / "reports" / f"{number}.json"
        return dict(json.loads(report.read_text())) if report.exists() else {}

    def _fails_again(self, target: str, name: str) -> bool:
        """Counting what is covered takes several times as long: what was slow is tried once more without."""
        file = self._folder / "failures" / name
        command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz", "again", target, str(file)]
        fails = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode != 0
        if not fails:
            file.unlink()
        return fails

    def _count(self, target: str, report: dict[str, Any], excused: Collection[str], log: str) -> str:
        tally, executions, seconds = self.tallies[target], report.get("executions", 0), report.get("seconds", 0.0)
        tally.executions += executions
        tally.seconds += seconds
        if report.get("slowest", 0.0) > tally.slowest:
            tally.slowest, tally.slowest_bytes = report["slowest"], report["slowest_bytes"]
        failures = report.get("failures", {}).items()
        tally.failures |= {name: one["told"] for name, one in failures if name not in excused}
        tally.edges = max([tally.edges or 0, *map(int, _COVERAGE.findall(log))]) or None
        if not report.get("ended"):
            tally.failures |= self._kept_by_libfuzzer(target, log)
        told = f"{executions:,} executions in {seconds:.0f} s; {tally.executions:,} so far"
        return f"{target}: {told}, {len(tally.failures)} failures"

    def _kept_by_libfuzzer(self, target: str, log: str) -> dict[str, str]:
        """What ended the whole process: a crash or a loop in C, too much memory, or a mistake in here."""
        known = self.tallies[target].failures
        files = [path.name for path in (self._folder / "failures").glob(f"{target}-*") if path.name not in known]
        end = "\n".join(log.splitlines()[-30:])
        return dict.fromkeys(files or [f"{target}: the process ended by itself"], end)


def table(tallies: Sequence[Tally]) -> str:
    """Return what came of each reader, and of all."""
    rows = [("reader", "executions", "per second", "edges", "slowest", "failures")]
    rows += [
        (
            one.target,
            f"{one.executions:,}",
            f"{one.executions / one.seconds:,.0f}" if one.seconds else "-",
            str(one.edges or "-"),
            f"{1000 * one.slowest:.0f} ms ({one.slowest_bytes:,} bytes)",
            str(len(one.failures)),
        )
        for one in tallies
    ]
    total, seconds = sum(one.executions for one in tallies), sum(one.seconds for one in tallies)
    failures = sum(len(one.failures) for one in tallies)
    rows.append(("all", f"{total:,}", f"{total / seconds:,.0f}" if seconds else "-", "", "", str(failures)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
