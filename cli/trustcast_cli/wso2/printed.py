"""The report on the terminal: what came over is counted, what did not is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from trustcast_cli import output
from trustcast_cli.wso2.report import Line, Made, Outcome, Problem, Report

_SAYS = {
    Outcome.IMPORTED: "came over",
    Outcome.PRESENT: "there already",
    Outcome.NOT_NEEDED: "for http endpoints, which need none",
    Outcome.MISSING: "without a certificate on either side",
    Outcome.UNUSABLE: "with an alias or endpoint that Trustcast cannot take",
    Outcome.REFUSED: "refused",
    Outcome.CONFLICT: "in conflict with what is there",
    Outcome.FAILED: "not decided",
}
_SHOWN_ALIASES = 5


def show(report: Report) -> None:
    """Print it on stdout."""
    says = _SAYS | ({Outcome.IMPORTED: "would come over"} if report.dry_run else {})
    for what, made in (("environment", report.environments), ("tenant", report.tenants)):
        if made:
            output.show((what, "", ""), [(_named(one), says[one.outcome], _why(one)) for one in made])
    output.show(("certificates", ""), _counts(report, says))
    if left := [line for line in report.lines if not line.outcome.is_good]:
        output.show(
            ("did not come over", "tenant", "endpoint", "why"),
            [(line.alias, line.tenant, line.endpoint, _reasons(line.problems)) for line in left],
        )
    if warned := _warned(line for line in report.lines if line.outcome.is_good):
        output.show(("to know", "how many", "aliases"), warned)
    if report.dry_run:
        output.note("This was a dry run: nothing was written.")


def _counts(report: Report, says: dict[Outcome, str]) -> list[tuple[str, str]]:
    wanted = [outcome for outcome in Outcome if report.counts[outcome] or outcome is Outcome.IMPORTED]
    counts = [(str(report.counts[outcome]), says[outcome]) for outcome in wanted]
    if report.truststore_only:
        counts.append((str(len(report.truststore_only)), "entries of the truststore that no row names: not imported"))
    return counts


def _named(made: Made) -> str:
    return f"{made.name} ({made.says})"


def _why(made: Made) -> str:
    return _reasons((made.problem,)) if made.problem else ""


def _reasons(problems: Sequence[Problem]) -> str:
    return " ".join(f"{problem.code}: {problem.detail} {problem.advice}".rstrip() for problem in problems)


def _warned(lines: Iterable[Line]) -> list[tuple[str, str, str]]:
    """One row for each warning: what is true of a hundred old certificates is said once."""
    aliases: dict[str, list[str]] = defaultdict(list)
    details: dict[str, str] = {}
    for line in lines:
        for warning in line.warnings:
            aliases[warning.code].append(line.alias)
            details[warning.code] = warning.detail
    return [(f"{code}: {details[code]}", str(len(those)), _some(those)) for code, those in sorted(aliases.items())]


def _some(aliases: Sequence[str]) -> str:
    more = len(aliases) - _SHOWN_ALIASES
    return ", ".join(aliases[:_SHOWN_ALIASES]) + (f" and {more} more" if more > 0 else "")
