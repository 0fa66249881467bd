"""`trustcast import wso2`: bring what a WSO2 API Manager trusts over into Trustcast; see docs/coming-from-wso2.md."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from trustcast.domain.alias import SUPER_TENANT
from trustcast_cli import api_manager
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import comparing, csv_export, database, matching, printed, sending, truststore
from trustcast_cli.wso2.candidates import Candidate, Judge
from trustcast_cli.wso2.report import Line, Made, Report
from trustcast_cli.wso2.rows import Installation
from trustcast_cli.wso2.sending import Trustcast

SUPER_DOMAIN = "carbon.super"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the person gave: one of `database_url` and `table`, and the rest. `domains`: tenant id -> domain."""

    truststore: Path
    password_file: Path
    database_url: str | None = None
    table: Path | None = None
    api_manager: Path | None = None
    domains: Mapping[int, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    accept_expired: bool = False

    def installation(self) -> Installation:
        """Read their rows. Raises `CannotRun`."""
        if (self.database_url is None) == (self.table is None):
            raise CannotRun("Give either --database-url (or --database-url-file) or --csv.")
        return database.read(self.database_url) if self.table is None else csv_export.read(self.table)  # type: ignore[arg-type]


def run(source: Source, client: httpx.Client, *, dry_run: bool, report_file: Path | None, console: Console) -> int:
    """Import with a bar on `console`, print what became of it, and return the exit status. Raises `CannotRun`."""
    api = Trustcast(client, run=str(uuid.uuid4()))
    with _bar(console) as bar:
        report = imported(source, api, dry_run=dry_run, at=datetime.now(UTC), bar=bar)
    printed.show(report)
    if report_file is not None:
        _write(report_file, report)
    return report.exit_status


def imported(
    source: Source,
    api: Trustcast,
    *,
    dry_run: bool,
    at: datetime,
    bar: Callable[[int], Callable[[], None]] = lambda _total: lambda: None,
) -> Report:
    """Read, match, judge, compare and, unless `dry_run`, send; return what became of each row.

    `bar` is told how many are sent, and what it returns is called after each. Raises `CannotRun`.
    """
    installation = source.installation()
    trusted = truststore.read(source.truststore, source.password_file)
    environments = api_manager.environments(source.api_manager) if source.api_manager else []
    matches = matching.matched(installation.rows, trusted)
    there = api.tenants()
    domains = _domains(installation, source.domains, there)
    judge = Judge(domains=domains, renames=source.renames, accept_expired=source.accept_expired, at=at)
    judged = judge.judged(matches)
    made_environments = sending.made_environments(api, environments, dry_run=dry_run)
    wanted = {one.line.tenant_id: one.line.tenant for one in _candidates(judged) if _needs_tenant(one, there)}
    wanted.pop(SUPER_TENANT, None)
    made_tenants = sending.made_tenants(api, wanted, there, dry_run=dry_run)
    compared = _compared(api, _without_tenant(judged, made_tenants), there)
    waiting = _candidates(compared)
    lines = {} if dry_run else sending.sent(api, waiting, advance=bar(len(waiting)))
    return Report(
        dry_run=dry_run,
        lines=tuple(one if isinstance(one, Line) else lines.get(one, one.line) for one in compared),
        truststore_only=tuple(matching.unnamed(matches, trusted)),
        tenants=tuple(made_tenants),
        environments=tuple(made_environments),
    )


def url_of(url: str | None, file: Path | None) -> str | None:
    """Return the URL that is given, or that stands in the file. Raises `CannotRun`."""
    if file is None:
        return url
    if url is not None:
        raise CannotRun("Give --database-url or --database-url-file, not both.")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CannotRun(f"{file} cannot be read: {reason}.") from None


def domains_of(options: Sequence[str]) -> dict[int, str]:
    """Read `--tenant ID=DOMAIN` options. Raises `CannotRun`."""
    domains = {}
    for option in options:
        tenant_id, _, domain = option.partition("=")
        if not tenant_id.isascii() or not tenant_id.isdigit() or not domain:
            raise CannotRun(f"--tenant takes ID=DOMAIN, such as 1=example.com, not {option!r}.")
        domains[int(tenant_id)] = domain
    return domains


def _domains(installation: Installation, given: Mapping[int, str], there: Mapping[int, str]) -> dict[int, str]:
    """Name each tenant: as the person says, as UM_TENANT says, as Trustcast has it, or by its number."""
    named = {**there, **installation.domains, **given, SUPER_TENANT: SUPER_DOMAIN}
    ids = {row.tenant_id for row in installation.rows} | there.keys()
    return {id_: named.get(id_, f"tenant-{id_}").lower() for id_ in ids}


def _candidates(judged: Sequence[Candidate | Line]) -> list[Candidate]:
    return [one for one in judged if isinstance(one, Candidate)]


def _compared(api: Trustcast, judged: Sequence[Candidate | Line], there: Mapping[int, str]) -> list[Candidate | Line]:
    tenants = {one.line.tenant_id for one in _candidates(judged)} & there.keys()
    held = {tenant_id: api.certificates(there[tenant_id]) for tenant_id in tenants}
    compared = iter(comparing.compared(_candidates(judged), held))
    return [next(compared) if isinstance(one, Candidate) else one for one in judged]


def _needs_tenant(one: Candidate, there: Mapping[int, str]) -> bool:
    """Whether its tenant has to be the one that is meant: also for what is refused, since it may be there already."""
    return one.refusal is None or one.line.tenant_id in there


def _without_tenant(judged: Sequence[Candidate | Line], made: Sequence[Made]) -> list[Candidate | Line]:
    """What belongs to a tenant that could not be created, or is another here, cannot come over."""
    missing = {int(one.name): one for one in made if not one.outcome.is_good}
    return [_left_out(one, missing.get(one.line.tenant_id)) if isinstance(one, Candidate) else one for one in judged]


def _left_out(one: Candidate, tenant: Made | None) -> Candidate | Line:
    if tenant is None or tenant.problem is None:
        return one
    return replace(one.line, outcome=tenant.outcome, problems=(tenant.problem,))


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int], Callable[[], None]]]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def start(total: int) -> Callable[[], None]:
            task = progress.add_task("sending", total=total)
            return lambda: progress.advance(task)

        yield start


def _write(path: Path, report: Report) -> None:
    try:
        path.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"The report {path} cannot be written: {error.strerror}.") from None
