"""What commands print: tables that fit the terminal, and whole lines where something else reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDE = 1000  # into a pipe or a file a row is one line


def show(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; what stands in its cells is text, whatever it holds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_printable(cell)) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(table)


def note(sentence: str) -> None:
    """Say something to the person, on stderr: stdout is for what the command was asked for."""
    print(_printable(sentence), file=sys.stderr)


def _printable(text: str) -> str:
    """Take the teeth out of what would steer the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
