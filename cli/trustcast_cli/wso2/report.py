"""What became of each row, for a person and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract

SOME_DID_NOT = 3
"""Exit status where something did not come over."""


class Outcome(StrEnum):
    """What became of a row, a tenant or an environment; with the first three nothing is left to do."""

    IMPORTED = "imported"  # in a dry run: would come over
    PRESENT = "present"  # there already
    NOT_NEEDED = "not_needed"  # for an http endpoint
    MISSING = "missing"  # no certificate on either side
    UNUSABLE = "unusable"  # alias or endpoint are none that Trustcast takes
    REFUSED = "refused"  # by the policy or by the api
    CONFLICT = "conflict"  # with something that is there
    FAILED = "failed"  # not decided; the same run again goes on

    @property
    def is_good(self) -> bool:
        """Whether nothing is left to do."""
        return self in (Outcome.IMPORTED, Outcome.PRESENT, Outcome.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not come over: stable code, sentence, and what to do here."""

    code: str
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one row; `alias` and `endpoint` as WSO2 has them, `imported_as` as Trustcast has it."""

    tenant_id: int
    tenant: str
    alias: str
    endpoint: str
    outcome: Outcome
    imported_as: str | None = None
    truststore_alias: str | None = None
    fingerprint_sha256: str | None = None
    database_fingerprint_sha256: str | None = None
    not_after: str | None = None
    operation: str | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A tenant or an environment that certificates need; `says` is its domain or type."""

    name: str
    says: str
    outcome: Outcome
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole run. `truststore_only`: aliases of the truststore that no row names; they were not imported."""

    dry_run: bool
    lines: tuple[Line, ...] = ()
    truststore_only: tuple[str, ...] = ()
    tenants: tuple[Made, ...] = ()
    environments: tuple[Made, ...] = ()
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counted = Counter(line.outcome for line in self.lines)
        object.__setattr__(self, "counts", {outcome.value: counted[outcome] for outcome in Outcome})

    @property
    def exit_status(self) -> int:
        """0 if all that is needed came over or was there."""
        made = (*self.tenants, *self.environments)
        everything = [*(line.outcome for line in self.lines), *(one.outcome for one in made)]
        return 0 if all(outcome.is_good for outcome in everything) else SOME_DID_NOT

    def as_json(self) -> dict[str, Any]:
        """Return the report for `--report`; keys may be added later, never changed."""
        return {
            "dry_run": self.dry_run,
            "counts": dict(self.counts) | {"truststore_only": len(self.truststore_only)},
            "environments": [
                {"name": one.name, "type": one.says, "outcome": one.outcome, "problem": _or_none(one.problem)}
                for one in self.environments
            ],
            "tenants": [
                {"id": int(one.name), "domain": one.says, "outcome": one.outcome, "problem": _or_none(one.problem)}
                for one in self.tenants
            ],
            "certificates": [asdict(line) for line in self.lines],
            "truststore_only": list(self.truststore_only),
        }


def _or_none(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else asdict(problem)
