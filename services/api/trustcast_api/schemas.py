"""What the api says, as JSON: pydantic models and how rows become them. Times are RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, PlainSerializer, StringConstraints

from trustcast.domain.certificate import Certificate
from trustcast.storage.gateways import Phase
from trustcast.storage.operations import Kind, State
from trustcast_api import problems
from trustcast_api.list_certificates import status_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.gateways import Arrival, GatewayStatus
    from trustcast.storage.operations import Operation
    from trustcast.storage.truststores import Status


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(at: datetime) -> datetime:
    """A time without a zone is taken for UTC, as all times here are."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such time in UTC") from None


# PostgreSQL stores no NUL, and no name of ours has a control character.
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
Prose = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1000)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
Time = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


class WarningBody(BaseModel):
    """Something to know about a certificate that was accepted."""

    code: str
    detail: str


class GatewayArrival(BaseModel):
    """A gateway that has an operation's generation, and since when; or that fails, and why."""

    name: str
    environment: str
    generation: int
    phase: str
    at: Time
    code: str | None
    detail: str | None


class OperationBody(BaseModel):
    """A request and its fate."""

    id: str
    kind: Kind
    state: State
    alias: str
    endpoint: str | None
    problem: dict[str, Any] | None
    warnings: list[WarningBody]
    generations: dict[str, int]
    converged: bool
    gateways: list[GatewayArrival]
    accepted_at: Time
    validated_at: Time | None
    applied_at: Time | None
    converged_at: Time | None
    requested_by: str

    @classmethod
    def of(cls, one: Operation, generations: Mapping[str, int], arrivals: Sequence[Arrival]) -> OperationBody:
        """Tell an operation's story."""
        return cls(
            id=one.id,
            kind=one.kind,
            state=one.state,
            alias=one.alias,
            endpoint=one.endpoint,
            problem=problems.of_operation(one.problem) if one.problem else None,
            warnings=[WarningBody.model_validate(warning) for warning in one.warnings],
            generations=dict(generations),
            converged=one.converged_at is not None,
            gateways=[GatewayArrival.model_validate(asdict(at)) for at in arrivals],
            accepted_at=one.accepted_at,
            validated_at=one.validated_at,
            applied_at=one.applied_at,
            converged_at=one.converged_at,
            requested_by=one.requested_by,
        )


class CertificateBody(BaseModel):
    """A trusted certificate; what it says of itself is read from its bytes."""

    alias: str
    endpoint: str
    status: str
    fingerprint_sha256: str
    subject: str
    issuer: str
    names: list[str]
    not_before: Time
    not_after: Time
    is_ca: bool
    self_signed: bool
    warnings: list[WarningBody]
    environments: list[str]
    operation: str

    @classmethod
    def of(cls, one: TrustedCertificate, *, environments: list[str], at: datetime) -> CertificateBody:
        """Describe a certificate as it stands at `at`."""
        read = Certificate.parse(one.certificate)
        return cls(
            alias=one.alias,
            endpoint=one.endpoint,
            status=status_of(one.not_before, one.not_after, at=at),
            fingerprint_sha256=read.fingerprint_sha256,
            subject=read.subject,
            issuer=read.issuer,
            names=list(read.names),
            not_before=read.not_before,
            not_after=read.not_after,
            is_ca=read.is_ca,
            self_signed=read.self_signed,
            warnings=[WarningBody.model_validate(warning) for warning in one.warnings],
            environments=environments,
            operation=one.operation,
        )


class CertificatePage(BaseModel):
    """One page of certificates by alias; `total` counts all that match."""

    certificates: list[CertificateBody]
    total: int
    limit: int
    offset: int


class EntryBody(BaseModel):
    """One entry of a truststore."""

    alias: str
    fingerprint_sha256: str


class GatewayBody(BaseModel):
    """A gateway's own account of where it stands; `in_sync`: it has the newest generation, digest included."""

    name: str
    generation: int
    entries_sha256: str | None
    phase: str | None
    code: str | None
    detail: str | None
    at: Time | None
    in_sync: bool


class TruststoreBody(BaseModel):
    """An environment's truststore, and who has it."""

    environment: str
    type: str
    generation: int
    entries_sha256: str
    entries: list[EntryBody]
    gateways: list[GatewayBody]
    converged: bool

    @classmethod
    def of(cls, status: Status, entries: Mapping[str, str], gateways: Sequence[GatewayStatus]) -> TruststoreBody:
        """Describe a truststore."""
        bodies = [_gateway(one, status) for one in gateways]
        return cls(
            environment=status.environment,
            type=status.type,
            generation=status.generation,
            entries_sha256=status.entries_sha256,
            entries=[EntryBody(alias=alias, fingerprint_sha256=sha256) for alias, sha256 in sorted(entries.items())],
            gateways=bodies,
            converged=all(one.in_sync for one in bodies),
        )


class ReportBody(BaseModel):
    """What a listener sends after each look; `generation` and digest as read back from disk."""

    environment: Name
    generation: int = Field(ge=0, lt=2**63)
    entries_sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    phase: Phase
    code: str | None = Field(default=None, pattern="^[a-z0-9_]{1,64}$")
    detail: Prose | None = None


def _gateway(one: GatewayStatus, status: Status) -> GatewayBody:
    return GatewayBody(
        name=one.name,
        generation=one.generation,
        entries_sha256=one.entries_sha256,
        phase=one.phase,
        code=one.code,
        detail=one.detail,
        at=one.reported_at,
        in_sync=one.phase not in (None, Phase.FAILED) and one.generation == status.generation,
    )
