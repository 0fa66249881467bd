"""`make mutants`: small mistakes made in `domain/` on purpose, one by one; its tests have to notice nine in ten.

`python -m tests.mutants [--processes N] [module ...]`; without names, every module. What survives, and why it may, is
on the page docs/mutants.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.commands.init import init
from cosmic_ray.work_db import WorkDB, use_db

from tests.mutants.modules import LeftOut, sources

LEAST_SCORE = 90.0
COPIED = ("shared", "services", "cli", "tests", "pyproject.toml")
IMPORTED_FROM = ("", "shared", "services/api", "services/worker", "services/gateway-listener", "cli")


@dataclass(frozen=True)
class Mutant:
    """One small mistake, by the operator that makes it and the place that it is made at."""

    module: str
    operator: str
    occurrence: int
    line: int


@dataclass(frozen=True)
class Fate:
    """`change` is the lines that the mutant removes and adds."""

    mutant: Mutant
    killed: bool
    change: str


def mutants(modules: Iterable[str], folder: Path) -> list[Mutant]:
    """All mutants that cosmic-ray can make of the modules, but those that are left out."""
    names = {path: name for name, path in sources().items()}
    left_out = {path: LeftOut(path.read_text()) for path in names}
    with use_db(str(folder / "mutants.sqlite"), WorkDB.Mode.create) as found:
        init([path for path, name in names.items() if name in modules], found, {})
        specs = [spec for item in found.work_items for spec in item.mutations]
    return [
        Mutant(names[spec.module_path], spec.operator_name, spec.occurrence, spec.start_pos[0])
        for spec in specs
        if not left_out[spec.module_path].has(spec.operator_name, spec.start_pos)
    ]


@contextmanager
def trying_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that tries mutants, with a copy of what they are made of, below `folder`, and of what tests them."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    for name in COPIED:
        if Path(name).is_dir():
            shutil.copytree(name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, copy)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mutants.tried"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(copy / name) for name in IMPORTED_FROM)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process


def fates(waiting: SimpleQueue[Mutant | None], folder: Path) -> list[Fate]:
    """Let one process try what is waiting, up to the first None; what survives is printed at once."""
    found = []
    with trying_process(folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while mutant := waiting.get():
            job = {"module": mutant.module, "operator": mutant.operator, "occurrence": mutant.occurrence}
            print(json.dumps(job), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                raise SystemExit(f"The process that tried {mutant} ended.")
            if fate := json.loads(answer):
                found.append(Fate(mutant, **fate))
                if not fate["killed"]:
                    print(f"{mutant.module}:{mutant.line} {mutant.operator}\n{fate['change']}\n", flush=True)
        process.stdin.close()
    return found


def tried(all_of_them: list[Mutant], processes: int, folder: Path) -> list[Fate]:
    """The fate of each."""
    waiting: SimpleQueue[Mutant | None] = SimpleQueue()
    for one in [*all_of_them, *[None] * processes]:
        waiting.put(one)
    with ThreadPoolExecutor(processes) as pool:
        parts = list(pool.map(lambda _: fates(waiting, folder), range(processes)))
    return [fate for part in parts for fate in part]


def table(found: list[Fate]) -> Iterator[str]:
    """A line a module, and the sum."""
    yield f"{'module':<22}{'mutants':>9}{'killed':>9}{'score':>9}"
    for name in [*sources(), "all"]:
        those = [fate for fate in found if name in {fate.mutant.module, "all"}]
        if those:
            yield f"{name:<22}{len(those):>9}{sum(fate.killed for fate in those):>9}{score(those):>8.1f}%"


def score(found: list[Fate]) -> float:
    """How many in a hundred were killed; of none, all."""
    return 100 * sum(fate.killed for fate in found) / len(found) if found else 100.0


def main() -> int:
    """Try them, print who survived and the table, and return 0 if enough were killed."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("modules", nargs="*", choices=[[], *sources()], metavar="module")
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trustcast-mutants-") as name:
        waiting = mutants(asked.modules or list(sources()), Path(name))
        found = tried(waiting, asked.processes, Path(name))
    print("\n".join(table(found)))
    print(f"{time.monotonic() - started:.0f} s with {asked.processes} processes.")
    return 0 if score(found) >= LEAST_SCORE else 1


if __name__ == "__main__":
    sys.exit(main())
