"""`make fuzz`: requests made from the OpenAPI document, and bytes for each reader of what is uploaded.

python -m tests.fuzz                              both, on all cores: at least 20,000 requests, and for the readers
                                                  10 million executions or an hour, whichever comes first
python -m tests.fuzz requests [OPTIONS]           the requests alone, with options of `schemathesis run`
python -m tests.fuzz readers [pem jks …]          the readers alone, or some of them
    --seconds S --executions N --processes P      for as long, as often, in as many processes
    --folder F                                    where files that fail are kept, and what was learned
python -m tests.fuzz again READER FILE            run a reader on a file that was kept, and say what happens
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers.judge import judge
from tests.fuzz.readers.schedule import Schedule, table
from tests.fuzz.readers.targets import TARGETS
from tests.fuzz.run import fuzz
from tests.redis_server import RedisServer
from tests.served_api import add_environment, served
from trustcast.storage import migrate
from trustcast.storage.session import Database

CASES = 20_000
HOUR = 3600.0
EXECUTIONS = 10_000_000


def main(arguments: list[str]) -> int:
    """Fuzz, print what came of it, and return 0 if there were enough requests and nothing failed."""
    match arguments:
        case ["requests", *options]:
            return _requests(options)
        case ["again", target, file] if target in TARGETS:
            return _again(target, Path(file))
        case [] | ["readers", *_]:
            asked = _asked(arguments[1:])
        case _:
            print(__doc__)
            return 2
    requests = _requests([]) if not arguments else 0
    return max(requests, _readers(asked))


def _asked(arguments: list[str]) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser("python -m tests.fuzz readers")
    parser.add_argument("readers", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=HOUR)
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    parser.add_argument("--processes", type=int, default=cores)
    parser.add_argument("--folder", type=Path, default=None)
    asked = parser.parse_args(arguments)
    if unknown := set(asked.readers) - TARGETS.keys():
        parser.error(f"no such reader: {', '.join(sorted(unknown))}")
    return asked


def _readers(asked: argparse.Namespace) -> int:
    folder: Path = asked.folder or Path(tempfile.mkdtemp(prefix="trustcast-fuzz-"))
    names = asked.readers or list(TARGETS)
    schedule = Schedule(names, folder.absolute(), seconds=asked.seconds, executions=asked.executions)
    schedule.run(asked.processes, lambda line: print(line, flush=True))
    tallies = list(schedule.tallies.values())
    print(table(tallies))
    for one in tallies:
        if not one.executions:
            print(f"There was no time for {one.target}; give more --seconds.")
        for name, told in one.failures.items():
            print(f"\n{told.rstrip()}\n  python -m tests.fuzz again {one.target} {folder / 'failures' / name}")
    return 1 if any(one.failures or not one.executions for one in tallies) else 0


def _again(target: str, file: Path) -> int:
    judged = judge(TARGETS[target].run, file.read_bytes())
    print(judged.failure.told if judged.failure else "Nothing is wrong with it.")
    print(f"{judged.seconds:.3f} s of the processor.")
    return 1 if judged.failure else 0


def _requests(options: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="trustcast-fuzz-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'trustcast.db'}"
        database = Database(url)
        migrate.upgrade(database)
        database.close()
        add_environment(url, "other")
        redis = RedisServer(folder)
        try:
            with served(folder, url, redis.url) as api:
                verdict = fuzz(api, folder, *(options or ["--max-examples", "500"]), timeout=2 * HOUR)
        finally:
            redis.stop()
    print(verdict.output)
    enough = verdict.cases >= CASES
    print(f"{verdict.cases} cases, {len(verdict.failures)} failures, {verdict.errors} errors.")
    return 0 if enough and verdict.complete and not verdict.failures and not verdict.errors else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
