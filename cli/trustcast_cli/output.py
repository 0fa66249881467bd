"""What commands print: tables that fit the terminal, lists where they would not, plain rows into a pipe or a file."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

_GAP = "   "


def show(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows on stdout; what stands in their cells is text, whatever it holds."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(headings, rows, columns=columns):
        print(line)


def lines(headings: Sequence[str], rows: Iterable[Sequence[str]], *, columns: int | None) -> list[str]:
    """Return a table for a terminal with so many columns, or a list a row, so that nothing in it is cut in two.

    `columns` None: no terminal. Then a row is one line, with tabs between its cells.
    """
    printable = [[_printable(cell) for cell in row] for row in rows]
    if columns is None:
        laid_out = ["\t".join(row) for row in (headings, *printable)]
    else:
        laid_out = _table(headings, printable, columns) or _lists(headings, printable, columns)
    return [line.rstrip() for line in laid_out]


def note(sentence: str) -> None:
    """Say something to the person, on stderr: stdout is for what the command was asked for."""
    print(_printable(sentence), file=sys.stderr)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Return nothing if it is wider than so many columns."""
    widths = [max(len(row[index]) for row in (headings, *rows)) for index in range(len(headings))]
    rule = ["─" * (sum(widths) + len(_GAP) * (len(widths) - 1))]
    if len(rule[0]) > columns:
        return []
    head, *body = (_GAP.join(map(str.ljust, row, widths)) for row in (headings, *rows))
    return ["", head, *rule, *body, ""]


def _lists(headings: Sequence[str], rows: Iterable[Sequence[str]], columns: int) -> list[str]:
    width = max(map(len, headings))
    found = [""]
    for row in rows:
        for heading, cell in zip(headings, row, strict=True):
            found += _item(heading.ljust(width) + _GAP, cell, columns) if cell else []
        found.append("")
    return found


def _item(heading: str, cell: str, columns: int) -> list[str]:
    """Words never break: one that is longer than a line is for the terminal to wrap."""
    return textwrap.wrap(
        cell,
        max(columns, len(heading) + 1),
        initial_indent=heading,
        subsequent_indent=" " * len(heading),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """Take the teeth out of what would steer the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
