"""`make bench`: every number that Trustcast is held to, measured on this machine.

A table on standard error, the same as JSON on standard output. A number that is missed is printed as such and fails
nothing: how fast a machine is, is no property of the code.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Protocol

from rich.console import Console
from rich.table import Table

from benchmarks import (
    accepted,
    audit_chain,
    big_truststore,
    bulk,
    burst,
    fetched_bytes,
    machine,
    one_upload,
    worker_cost,
)
from benchmarks.rows import Row


class Measure(Protocol):
    """A benchmark: yields its rows; `quick` asks for fewer rounds, enough to see that it runs."""

    def __call__(self, *, quick: bool) -> Iterator[Row]: ...


MEASURES: dict[str, Measure] = {
    "upload": one_upload.measure,
    "truststore": big_truststore.measure,
    "worker": worker_cost.measure,
    "burst": burst.measure,
    "bulk": bulk.measure,
    "bytes": fetched_bytes.measure,
    "accept": accepted.measure,
    "audit": audit_chain.measure,
}


def main() -> None:
    """Run what was asked for."""
    asked = _arguments()
    if asked.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
    screen = Console(stderr=True)
    facts, rows = machine.describe(), []
    screen.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for name in asked.only or MEASURES:
        started = time.monotonic()
        rows += list(MEASURES[name](quick=asked.quick))
        screen.print(f"[dim]{name}: {time.monotonic() - started:.0f} s")
    screen.print(_table(rows))
    json.dump({"machine": facts, "rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
    print()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASURES, help="one measure; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: shows that it runs, proves nothing")
    parser.add_argument("--cores", type=int, help="use so many of this machine's cores")
    return parser.parse_args()


def _table(rows: list[Row]) -> Table:
    table = Table("measure", "reach", "measured", "", show_lines=True)
    for row in rows:
        colour = {True: "green", False: "red", None: ""}[row.reached]
        facts = "  ".join(f"{name} {value}" for name, value in row.facts.items())
        table.add_row(f"{row.measure}\n[dim]{facts}[/]", row.reach, row.measured, row.verdict, style=colour)
    return table


if __name__ == "__main__":
    main()
