"""Which matches Trustcast can take: alias, endpoint and certificate are judged here as the api would judge them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from trustcast.domain import alias as aliases
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Policy, Warning  # noqa: A004 - the word of the contract
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2.matching import Match
from trustcast_cli.wso2.report import Line, Outcome, Problem
from trustcast_cli.wso2.rows import Row

_WITHOUT_TLS = "http://"
_NOT_IN_AN_ALIAS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What Trustcast can take by its form: `line` says what it is, `endpoint` is in normal form.

    `refusal` is what the policy says against it, None if it may be sent.
    """

    line: Line
    alias: str
    endpoint: str
    certificate: Certificate
    ca: bool
    expired: bool
    refusal: Problem | None

    @property
    def alias_key(self) -> str:
        """The alias as aliases are compared."""
        return aliases.key(self.alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What all rows are judged by. `renames`: alias there -> alias here; `domains`: id -> domain of every tenant."""

    domains: Mapping[int, str]
    renames: Mapping[str, str]
    accept_expired: bool
    at: datetime

    def judged(self, matches: Sequence[Match]) -> list[Candidate | Line]:
        """Return a candidate, or the line that says why not, for each match in their order."""
        self._check_renames(match.row for match in matches)
        taken: dict[tuple[int, str], str] = {}
        return [self._judge(match, taken) for match in matches]

    def _check_renames(self, rows: Iterable[Row]) -> None:
        if unknown := sorted(self.renames.keys() - {row.alias for row in rows}):
            raise CannotRun(f"--rename: there is no row with the alias {unknown[0]!r}.")

    def _judge(self, match: Match, taken: dict[tuple[int, str], str]) -> Candidate | Line:
        row = match.row
        line = self._line(match)
        if row.endpoint.lower().startswith(_WITHOUT_TLS):
            return replace(line, outcome=Outcome.NOT_NEEDED)
        if match.doubt is not None:
            return replace(line, outcome=Outcome.CONFLICT, problems=(match.doubt,))
        if match.der is None:
            return replace(line, outcome=Outcome.MISSING, problems=(Problem("certificate_missing", match.missing),))
        alias = self.renames.get(row.alias, row.alias)
        problems = _of_alias(row, alias, taken, self.domains)
        endpoint = _endpoint(row.endpoint)
        if isinstance(endpoint, Problem):
            problems.append(endpoint)
        if problems or isinstance(endpoint, Problem):
            return replace(line, outcome=Outcome.UNUSABLE, problems=tuple(problems))
        taken[row.tenant_id, aliases.key(alias)] = row.alias
        return self._candidate(line, alias, endpoint, match.der)

    def _line(self, match: Match) -> Line:
        row = match.row
        return Line(
            tenant_id=row.tenant_id,
            tenant=self.domains[row.tenant_id],
            alias=row.alias,
            endpoint=row.endpoint,
            outcome=Outcome.IMPORTED,
            truststore_alias=match.entry,
            database_fingerprint_sha256=match.database_sha256,
            warnings=match.notes,
        )

    def _candidate(self, line: Line, alias: str, endpoint: Endpoint, der: bytes) -> Candidate | Line:
        try:
            certificate = Certificate.parse(der)
        except Rejected as error:
            return replace(line, outcome=Outcome.REFUSED, problems=(Problem(error.code, error.detail),))
        ca, refusal = False, None
        warnings: tuple[Warning, ...] = ()
        try:
            ca, warnings = self._policy(certificate, endpoint)
        except Rejected as error:
            advice = "Take it over all the same with --accept-expired." if error.code == "certificate_expired" else ""
            refusal = Problem(error.code, error.detail, advice)
        line = _described(line, alias, certificate)
        line = replace(line, warnings=(*line.warnings, *warnings))
        expired = self.at > certificate.not_after
        return Candidate(line, alias, str(endpoint), certificate, ca=ca, expired=expired, refusal=refusal)

    def _policy(self, certificate: Certificate, endpoint: Endpoint) -> tuple[bool, tuple[Warning, ...]]:
        """Return whether it has to be sent as a CA, and what the policy warns of.

        A server's certificate that is a CA only because `openssl req -x509` makes one passes without `ca`, with a
        warning that says how dangerous it is; that one shall be seen.
        """
        try:
            return False, self._checked(certificate, endpoint, ca=False)
        except Rejected as error:
            if error.code != "ca_not_allowed":
                raise
        return True, self._checked(certificate, endpoint, ca=True)

    def _checked(self, certificate: Certificate, endpoint: Endpoint, *, ca: bool) -> tuple[Warning, ...]:
        return Policy().check(certificate, endpoint=endpoint, at=self.at, ca=ca, accept_expired=self.accept_expired)


def renames(options: Iterable[str]) -> dict[str, str]:
    """Read `old=new` options; the last `=` counts, since no alias here has one. Raises `CannotRun`."""
    found: dict[str, str] = {}
    for option in options:
        old, separator, new = option.rpartition("=")
        if not separator or not old:
            raise CannotRun(f"--rename takes OLD=NEW, not {option!r}.")
        try:
            found[old] = aliases.checked(new)
        except Rejected as error:
            raise CannotRun(f"--rename {option!r}: {error.detail}") from None
    return found


def suggested(alias: str) -> str:
    """Return a legal alias that looks like `alias`."""
    ascii_only = unicodedata.normalize("NFKD", alias).encode("ascii", "ignore").decode("ascii")
    return _NOT_IN_AN_ALIAS.sub("-", ascii_only).strip("-._")[: aliases.MAX_LENGTH] or "renamed"


def _of_alias(row: Row, alias: str, taken: Mapping[tuple[int, str], str], tenants: Mapping[int, str]) -> list[Problem]:
    try:
        key = aliases.key(aliases.checked(alias))
    except Rejected as error:
        return [Problem(error.code, error.detail, _rename(row, suggested(row.alias)))]
    if other := taken.get((row.tenant_id, key)):
        detail = f"Java and Trustcast compare aliases without their case: the row {other!r} has this alias already."
        return [Problem("alias_twice", detail, _rename(row, f"{suggested(row.alias)}-2"))]
    if row.tenant_id == aliases.SUPER_TENANT and (named := aliases.tenant_named_by(key)) in tenants:
        detail = f"On gateways this is what an alias of the tenant {named} looks like."
        return [Problem("alias_reserved", detail, _rename(row, f"{suggested(row.alias)}-super"))]
    return []


def _rename(row: Row, new: str) -> str:
    return f"Add --rename '{row.alias}={new}'."


def _endpoint(text: str) -> Endpoint | Problem:
    try:
        return Endpoint.parse(text)
    except Rejected as error:
        return Problem(error.code, error.detail)


def _described(line: Line, alias: str, certificate: Certificate) -> Line:
    not_after = certificate.not_after.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    fingerprint = certificate.fingerprint_sha256
    return replace(line, imported_as=alias, fingerprint_sha256=fingerprint, not_after=not_after)
