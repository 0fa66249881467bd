"""One process that feeds one reader for a while: led by coverage where there is atheris, at random where there is not.

`python -m tests.fuzz.readers.explore TARGET FOLDER NUMBER SECONDS EXECUTIONS`; started by `schedule`. In the folder are
`corpus/TARGET`, which grows, `failures`, where files that failed are kept, and `reports/NUMBER.json`, written now and
then, so that most of it is known even of a process that was killed; `NUMBER.slowest` is what took longest.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.readers.judge import Failure
    from tests.fuzz.readers.targets import Target

try:
    import atheris
except ImportError:  # it has wheels for few platforms
    atheris = None

INSTRUMENTED = ("trustcast.domain", "trustcast.keystore", "trustcast_api")
LARGEST = 32 * 1024
"""Of a changed file, in bytes."""
LARGEST_SENT = 256 * 1024
"""Of those that are large to begin with: no more is taken from anybody, but for the lines of a bulk together."""
MOST_FAILURES = 20

_KEPT_SMALL = 6000
_REPORT_SECONDS = 2.0
_HUNG_SECONDS = 120  # of the clock: nothing but a loop in C takes that long, or a machine that stands still
_MEGABYTES = 2048
_OURS = 0.7
"""How often the structure is changed; otherwise libFuzzer changes bytes, also by what they are compared with."""


@dataclass
class Report:
    """What came of it so far. `failures` are the files' names, with what is to be said of each."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_bytes: int = 0
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    ended: bool = False


class Run:
    """Judges each input, counts, and keeps what failed, one file for each fault."""

    def __init__(self, target: str, folder: Path, number: int, seconds: float, executions: int) -> None:
        self._judge = importlib.import_module("tests.fuzz.readers.judge").judge
        self._target: Target = importlib.import_module("tests.fuzz.readers.targets").TARGETS[target]
        self._folder, self._file = folder, folder / "reports" / f"{number}.json"
        self._begun = self._written = time.monotonic()
        self._end, self._most = self._begun + seconds, executions
        self._seen: set[tuple[str, str]] = set()
        self.report, self._slowest = Report(target), b""

    @property
    def target(self) -> Target:
        """What is fed."""
        return self._target

    def feed(self, data: bytes) -> None:
        """Run the reader once."""
        judged, report = self._judge(self._target.run, data), self.report
        report.executions += 1
        if judged.seconds > report.slowest:
            report.slowest, report.slowest_bytes, self._slowest = judged.seconds, len(data), data
        if judged.failure:
            self._keep(data, judged.failure)
        if time.monotonic() - self._written > _REPORT_SECONDS:
            self.write()

    def is_over(self) -> bool:
        """Whether it has run for long enough, or often enough, or found enough."""
        report = self.report
        return report.executions >= self._most or len(report.failures) >= MOST_FAILURES or time.monotonic() >= self._end

    def write(self) -> None:
        """Say what came of it so far."""
        self._written = time.monotonic()
        self.report.seconds = self._written - self._begun
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self.report)))
        beside.replace(self._file)
        self._file.with_suffix(".slowest").write_bytes(self._slowest)

    def _keep(self, data: bytes, failure: Failure) -> None:
        if (failure.kind, failure.where) in self._seen:
            return
        self._seen.add((failure.kind, failure.where))
        name = f"{self.report.target}-{failure.kind}-{hashlib.sha256(data).hexdigest()[:16]}"
        (self._folder / "failures" / name).write_bytes(data)
        self.report.failures[name] = asdict(failure)
        self.write()


def main(target: str, folder: Path, number: int, seconds: float, executions: int) -> None:
    """Feed `target` until the time or the number of executions is reached."""
    explore = _at_random
    if atheris is not None:
        with atheris.instrument_imports(include=list(INSTRUMENTED)):
            importlib.import_module("tests.fuzz.readers.targets")
        explore = _led_by_coverage
    run = Run(target, folder, number, seconds, executions)
    seeds, luck = run.target.seeds(), Random(number)
    for large in (one for one in seeds if len(one) > _KEPT_SMALL):
        if not run.is_over():
            run.feed(large if number == 0 else run.target.mutate(large, luck)[:LARGEST_SENT])
    explore(run, [one for one in seeds if len(one) <= _KEPT_SMALL], folder, number)


def _led_by_coverage(run: Run, seeds: list[bytes], folder: Path, number: int) -> None:
    corpus, mutate = folder / "corpus" / run.report.target, run.target.mutate
    if not corpus.exists():
        corpus.mkdir(parents=True)
        for seed in seeds:
            (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)

    def one_input(data: bytes) -> None:
        run.feed(data)
        if run.is_over():
            _end(run)

    def changed(data: bytes, most: int, chance: int) -> bytes:
        luck = Random(chance)
        if luck.random() > _OURS:
            return bytes(atheris.Mutate(data, most))
        for _ in range(luck.choice((1, 1, 2, 4))):
            data = mutate(data, luck)
        return data[:most]

    options = {
        "seed": number + 1,
        "max_len": LARGEST,
        "len_control": 0,
        "timeout": _HUNG_SECONDS,
        "rss_limit_mb": _MEGABYTES,
        "detect_leaks": 0,
        "artifact_prefix": f"{folder / 'failures' / run.report.target}-",
    }
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)]
    atheris.Setup(arguments, one_input, custom_mutator=changed)
    atheris.Fuzz()


def _at_random(run: Run, seeds: list[bytes], folder: Path, number: int) -> None:
    """Choose with hypothesis, which is led by nothing, but tries small numbers and equal ones oftener than chance."""
    del folder
    hypothesis = importlib.import_module("hypothesis")
    strategies = importlib.import_module("hypothesis.strategies")
    usual: dict[str, Any] = {"max_examples": 1000, "database": None, "deadline": None}
    usual["suppress_health_check"], usual["phases"] = list(hypothesis.HealthCheck), [hypothesis.Phase.generate]

    def one_input(seed: bytes, chance: int, times: int) -> None:
        if run.is_over():
            return
        luck, data = Random(chance), seed
        for _ in range(times):
            data = run.target.mutate(data, luck)
        run.feed(data[:LARGEST])

    chances = strategies.integers(0, 2**64)
    while not run.is_over():
        number += 1000
        given = hypothesis.given(strategies.sampled_from(seeds), chances, strategies.integers(0, 6))
        hypothesis.seed(number)(hypothesis.settings(**usual)(given(one_input)))()
    _end(run)


def _end(run: Run) -> None:
    """Leave at once. LibFuzzer is not asked: it would count and stop by its own rules."""
    run.report.ended = True
    run.write()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
