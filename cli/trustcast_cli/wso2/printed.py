"""The report on the terminal: what came over is counted, what did not is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trustcast_cli.wso2.report import Line, Made, Outcome, Problem, Report

_SAYS = {
    Outcome.IMPORTED: "came over",
    Outcome.PRESENT: "there already",
    Outcome.MISSING: "without a certificate on either side",
    Outcome.UNUSABLE: "with an alias or endpoint that Trustcast cannot take",
    Outcome.REFUSED: "refused",
    Outcome.CONFLICT: "in conflict with what is there",
    Outcome.FAILED: "not decided",
}
_SHOWN_ALIASES = 5


def show(report: Report, console: Console) -> None:
    """Print it."""
    _made("environments", report.environments, console)
    _made("tenants", report.tenants, console)
    _counts(report, console)
    _left(report.lines, console)
    _warned(report.lines, console)


def _counts(report: Report, console: Console) -> None:
    title = "Certificates (dry run: nothing was written)" if report.dry_run else "Certificates"
    console.print(f"\n[bold]{title}[/]")
    for outcome in Outcome:
        if (number := report.counts[outcome]) or outcome is Outcome.IMPORTED:
            says = "would come over" if report.dry_run and outcome is Outcome.IMPORTED else _SAYS[outcome]
            colour = "green" if outcome.is_good else "red"
            console.print(f"   [{colour}]{number:>5}[/]  {says}")
    if number := len(report.truststore_only):
        console.print(f"   [dim]{number:>5}  entries of the truststore that no row names: not imported[/]")


def _made(what: str, made: Sequence[Made], console: Console) -> None:
    for one in made:
        colour = "green" if one.outcome.is_good else "red"
        why = f": {escape(_told(one.problem))}" if one.problem else ""
        console.print(
            f"[{colour}]{one.outcome}[/] {what.removesuffix('s')} {escape(one.name)} ({escape(one.says)}){why}"
        )


def _left(lines: Sequence[Line], console: Console) -> None:
    left = [line for line in lines if not line.outcome.is_good]
    if not left:
        return
    table = Table("tenant", "alias", "endpoint", "why", title="Did not come over", title_justify="left", box=box.SIMPLE)
    for line in left:
        why = "\n".join(f"[red]{problem.code}[/] {escape(_told(problem))}" for problem in line.problems)
        table.add_row(escape(line.tenant), escape(line.alias), escape(line.endpoint), why)
    console.print(table)


def _warned(lines: Sequence[Line], console: Console) -> None:
    warned: dict[str, list[str]] = defaultdict(list)
    details: dict[str, str] = {}
    for line in lines:
        for warning in line.warnings if line.outcome.is_good else ():
            warned[warning.code].append(line.alias)
            details[warning.code] = warning.detail
    if not warned:
        return
    table = Table("warning", "of", "aliases", title="To know of those", title_justify="left", box=box.SIMPLE)
    for code, aliases in sorted(warned.items()):
        table.add_row(f"[yellow]{code}[/] {escape(details[code])}", str(len(aliases)), escape(_some(aliases)))
    console.print(table)


def _some(aliases: Sequence[str]) -> str:
    more = len(aliases) - _SHOWN_ALIASES
    return ", ".join(aliases[:_SHOWN_ALIASES]) + (f" and {more} more" if more > 0 else "")


def _told(problem: Problem) -> str:
    return f"{problem.detail} {problem.advice}".strip()
