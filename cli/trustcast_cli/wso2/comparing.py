"""What Trustcast has already, and what stands in each other's way: the same run twice changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract
from trustcast_cli.wso2.candidates import Candidate
from trustcast_cli.wso2.report import Line, Outcome, Problem


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that a tenant of Trustcast has."""

    alias: str
    endpoint: str
    fingerprint_sha256: str


def compared(candidates: Sequence[Candidate], held: Mapping[int, Sequence[Held]]) -> list[Candidate | Line]:
    """Return what is to be sent, and the line of what is not, in their order. `held`: tenant id -> certificates."""
    seen = {tenant: _Seen(certificates) for tenant, certificates in held.items()}
    sharing = _sharing(candidates, held)
    return [_noted(seen.setdefault(one.line.tenant_id, _Seen(())).compare(one), one, sharing) for one in candidates]


def present(candidate: Candidate, held: Held) -> Line:
    """Say that it is there."""
    warnings = candidate.line.warnings
    if held.endpoint != candidate.endpoint:
        detail = f"Trustcast has it for the endpoint {held.endpoint}; it is left as it is."
        warnings = (*warnings, Warning("endpoint_differs", detail))
    return replace(candidate.line, outcome=Outcome.PRESENT, warnings=warnings)


class _Seen:
    def __init__(self, held: Sequence[Held]) -> None:
        self._aliases = {one.alias.lower(): one for one in held}
        self._fingerprints = {one.fingerprint_sha256: one.alias for one in held}

    def compare(self, one: Candidate) -> Candidate | Line:
        fingerprint = one.certificate.fingerprint_sha256
        held = self._aliases.get(one.alias_key)
        if held is not None and held.fingerprint_sha256 == fingerprint:
            return present(one, held)
        if one.refusal is not None:
            return replace(one.line, outcome=Outcome.REFUSED, problems=(one.refusal,))
        if held is not None:
            return _conflict(one, _ANOTHER)
        if other := self._fingerprints.get(fingerprint):
            detail = f"The same certificate comes or came under the alias {other}, which serves."
            return _conflict(one, Problem("certificate_exists", detail))
        self._fingerprints[fingerprint] = one.alias
        return one


def _conflict(candidate: Candidate, problem: Problem) -> Line:
    """Say what stands in the way."""
    return replace(candidate.line, outcome=Outcome.CONFLICT, problems=(problem,))


def _sharing(candidates: Sequence[Candidate], held: Mapping[int, Sequence[Held]]) -> dict[tuple[int, str], int]:
    """Count the different certificates that each endpoint would have."""
    fingerprints: dict[tuple[int, str], set[str]] = defaultdict(set)
    for one in (one for one in candidates if one.refusal is None):
        fingerprints[one.line.tenant_id, one.endpoint].add(one.certificate.fingerprint_sha256)
    for tenant_id, certificates in held.items():
        for there in certificates:
            fingerprints[tenant_id, there.endpoint].add(there.fingerprint_sha256)
    return {key: len(those) for key, those in fingerprints.items()}


def _noted(result: Candidate | Line, one: Candidate, sharing: Mapping[tuple[int, str], int]) -> Candidate | Line:
    number = sharing.get((one.line.tenant_id, one.endpoint), 1)
    if number == 1:
        return result
    detail = f"The endpoint has {number} certificates; that needs TRUSTCAST_CERTIFICATES_PER_ENDPOINT={number} or more."
    note = Warning("endpoint_shared", detail)
    if isinstance(result, Line):
        return replace(result, warnings=(*result.warnings, note))
    return replace(result, line=replace(result.line, warnings=(*result.line.warnings, note)))


_ANOTHER = Problem(
    "alias_exists",
    "Trustcast has another certificate under this alias; it is never replaced by an import.",
    "Replace it with PUT /v1/certificates/{alias} if the one of WSO2 is right, or give it another alias with --rename.",
)
