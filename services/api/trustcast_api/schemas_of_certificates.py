"""Certificates, their use and their rotation, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from trustcast.domain import policy
from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import RejectedMany
from trustcast_api.list_certificates import Status, status_of
from trustcast_api.schemas import Time, WarningBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from trustcast.domain.errors import TrustcastError
    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.presence import Presence
    from trustcast_api.judge_upload import Verdict
    from trustcast_api.rotate import Rotation
    from trustcast_api.usage import Usage


_EXAMPLE: dict[str, Any] = {
    "alias": "billing",
    "endpoint": "https://billing.example:8443",
    "status": "active",
    "fingerprint_sha256": "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
    "subject": "CN=billing.example",
    "issuer": "CN=billing.example",
    "names": ["billing.example", "192.0.2.7"],
    "not_before": "2026-11-01T00:00:00.000Z",
    "not_after": "2027-11-01T00:00:00.000Z",
    "is_ca": False,
    "self_signed": True,
    "warnings": [],
    "environments": ["Production and Sandbox"],
    "chain": [],
    "rotates": None,
    "operation": "0b6ff5c2-5a1e-4f5a-9d0c-2f8e9a4d1c37",
}
_LINK: dict[str, Any] = {
    "fingerprint_sha256": "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730",
    "subject": "CN=Example CA",
    "issuer": "CN=Example CA",
    "not_before": "2020-01-01T00:00:00.000Z",
    "not_after": "2040-01-01T00:00:00.000Z",
    "is_ca": True,
}
_NEXT: dict[str, Any] = {
    "alias": "billing.next",
    "fingerprint_sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "not_before": "2027-10-01T00:00:00.000Z",
    "not_after": "2028-10-01T00:00:00.000Z",
    "rotates": "billing",
    "operation": "5a1d8c70-9b1f-4c55-8f7e-3f3b0a6c2d48",
}
_VERDICT: dict[str, Any] = {name: value for name, value in _EXAMPLE.items() if name not in {"rotates", "operation"}} | {
    "verdict": "accepted",
    "activate_at": None,
}
_REFUSAL: dict[str, Any] = {
    "verdict": "refused",
    "alias": "shop",
    "code": "certificate_expired",
    "detail": "The certificate has expired; upload its successor.",
    "field": "certificate",
}
_USE: dict[str, Any] = {
    "id": "c1c6ae1f-6f0a-4f55-8a60-3f27f1c0a5a9",
    "name": "shop",
    "version": "1.0",
    "context": "/shop",
    "provider": "admin",
    "endpoint": "https://billing.example:8443",
    "role": "production",
}
_PRESENCES: list[Any] = [
    {"name": "gateway-1", "environment": "Production and Sandbox", "has_it": True},
    {"name": "gateway-2", "environment": "Production and Sandbox", "has_it": False},
]
_PAGE: dict[str, Any] = {"certificates": [_EXAMPLE], "total": 1, "limit": 100, "offset": 0}
_USAGE: dict[str, Any] = {"apis": [_USE], "environments": _EXAMPLE["environments"], "gateways": _PRESENCES}
_ROTATION: dict[str, Any] = {
    "alias": "billing",
    "current": _EXAMPLE,
    "following": _EXAMPLE | _NEXT,
    "converged": False,
    "gateways": _PRESENCES,
}


class LinkBody(BaseModel):
    """A certificate that came with another one: kept and shown, trusted nowhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINK]})
    fingerprint_sha256: str
    subject: str
    issuer: str
    not_before: Time
    not_after: Time
    is_ca: bool

    @classmethod
    def of(cls, der: bytes) -> LinkBody:
        """Describe a certificate."""
        read = Certificate.parse(der)
        return cls(**{name: getattr(read, name) for name in cls.model_fields})


class FactsBody(BaseModel):
    """A certificate for an endpoint; what it says of itself is read from its bytes.

    `warnings` are as of now; `chain` is what came with it, and is trusted nowhere.
    """

    alias: str
    endpoint: str
    status: Status
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
    chain: list[LinkBody]


class CertificateBody(FactsBody):
    """A certificate; `rotates` is the alias, in lower case, of the one whose place it is to take."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    rotates: str | None = None
    operation: str

    @classmethod
    def of(
        cls, one: TrustedCertificate, *, environments: Iterable[str], chain: Iterable[bytes], at: datetime | None
    ) -> CertificateBody:
        """Describe a certificate as it stands at `at`; None: it is on its way."""
        if at is None:
            status, warnings = Status.PENDING, [*one.warnings]
        else:
            status = status_of(one.not_before, one.not_after, at=at)
            standing = policy.standing_warnings(one.warnings, not_after=one.not_after, at=at)
            warnings = [asdict(each) for each in standing]
        said = facts(
            one.certificate,
            alias=one.alias,
            endpoint=one.endpoint,
            status=status,
            warnings=warnings,
            environments=environments,
            chain=chain,
        )
        return cls(**said, rotates=one.rotates, operation=one.operation)


def facts(
    der: bytes,
    *,
    alias: str,
    endpoint: str,
    status: Status,
    warnings: Iterable[Mapping[str, str]],
    environments: Iterable[str],
    chain: Iterable[bytes],
) -> dict[str, Any]:
    """Return the fields of a `FactsBody`."""
    read = Certificate.parse(der)
    told = ("fingerprint_sha256", "subject", "issuer", "names", "not_before", "not_after", "is_ca", "self_signed")
    return {name: getattr(read, name) for name in told} | {
        "alias": alias,
        "endpoint": endpoint,
        "status": status,
        "warnings": [WarningBody.model_validate(one) for one in warnings],
        "environments": sorted(environments),
        "chain": [LinkBody.of(one) for one in chain],
    }


class VerdictBody(FactsBody):
    """What an upload would come to: a certificate that is trusted from `activate_at` on, or at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERDICT]})
    verdict: Literal["accepted"] = "accepted"
    activate_at: Time | None = None

    @classmethod
    def of(cls, one: Verdict, *, at: datetime) -> VerdictBody:
        """Describe a verdict that was given at `at`."""
        asked, read = one.request, one.certificate
        said = facts(
            read.der,
            alias=asked.alias,
            endpoint=asked.endpoint or "",
            status=status_of(read.not_before, read.not_after, at=at),
            warnings=[asdict(each) for each in one.warnings],
            environments=one.environments,
            chain=asked.chain,
        )
        return cls(**said, activate_at=asked.activate_at)


class RefusalBody(BaseModel):
    """Why an entry of a key store would be refused; the alias is there where it is a legal one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REFUSAL]})
    verdict: Literal["refused"] = "refused"
    alias: str | None = None
    code: str
    detail: str
    field: str | None = None

    @classmethod
    def of(cls, alias: str | None, why: TrustcastError) -> RefusalBody:
        """Describe a refusal."""
        first = why.errors[0] if isinstance(why, RejectedMany) else why
        return cls(alias=alias, code=first.code, detail=first.detail, field=first.field)


class VerdictsBody(BaseModel):
    """What each entry of a key store would come to, in the order of the file."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verdicts": [_VERDICT, _REFUSAL]}]})
    verdicts: list[VerdictBody | RefusalBody]


class CertificatePage(BaseModel):
    """One page of certificates; `total` counts all that match."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"certificates": [_EXAMPLE], "total": 1, "limit": 100, "offset": 0}]}
    )
    certificates: list[CertificateBody]
    total: int
    limit: int
    offset: int


class UseBody(BaseModel):
    """An endpoint of an API that a certificate serves; `id` is the API's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USE]})
    id: str
    name: str
    version: str
    context: str
    provider: str
    endpoint: str
    role: str


class PresenceBody(BaseModel):
    """Whether a gateway has reported a generation that holds a certificate."""

    name: str
    environment: str
    has_it: bool


class UsageBody(BaseModel):
    """Which APIs a certificate serves, where it goes, and which gateways have it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"apis": [_USE], "environments": _EXAMPLE["environments"], "gateways": _PRESENCES}]
        }
    )
    apis: list[UseBody]
    environments: list[str]
    gateways: list[PresenceBody]

    @classmethod
    def of(cls, one: Usage) -> UsageBody:
        """Describe how a certificate is used."""
        return cls(
            apis=[UseBody.model_validate(asdict(use)) for use in one.apis],
            environments=one.environments,
            gateways=_presences(one.gateways),
        )


class RotationBody(BaseModel):
    """A rotation that is under way: the certificate that is to go, the next one, and whether every gateway has it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROTATION]})
    alias: str
    current: CertificateBody
    following: CertificateBody
    converged: bool
    gateways: list[PresenceBody]

    @classmethod
    def of(cls, one: Rotation, *, at: datetime) -> RotationBody:
        """Describe a rotation as it stands at `at`."""
        current, following = (
            CertificateBody.of(each, environments=one.environments, chain=one.chains.get(each.operation, ()), at=at)
            for each in (one.current, one.following)
        )
        return cls(
            alias=one.current.alias,
            current=current,
            following=following,
            converged=one.converged,
            gateways=_presences(one.gateways),
        )


def _presences(found: Sequence[Presence]) -> list[PresenceBody]:
    return [PresenceBody.model_validate(asdict(one)) for one in found]
