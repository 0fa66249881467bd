"""Certificates, their use and their rotation, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import BaseModel

from trustcast.domain.certificate import Certificate
from trustcast_api.list_certificates import Status, status_of
from trustcast_api.schemas import Time, WarningBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.presence import Presence
    from trustcast_api.rotate import Rotation
    from trustcast_api.usage import Usage


class CertificateBody(BaseModel):
    """A certificate; what it says of itself is read from its bytes.

    `rotates` is the alias, in lower case, of the one whose place it is to take.
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
    rotates: str | None
    operation: str

    @classmethod
    def of(cls, one: TrustedCertificate, *, environments: list[str], status: Status) -> CertificateBody:
        """Describe a certificate."""
        read = Certificate.parse(one.certificate)
        return cls(
            alias=one.alias,
            endpoint=one.endpoint,
            status=status,
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
            rotates=one.rotates,
            operation=one.operation,
        )


class CertificatePage(BaseModel):
    """One page of certificates; `total` counts all that match."""

    certificates: list[CertificateBody]
    total: int
    limit: int
    offset: int


class UseBody(BaseModel):
    """An endpoint of an API that a certificate serves; `id` is the API's."""

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

    alias: str
    current: CertificateBody
    following: CertificateBody
    converged: bool
    gateways: list[PresenceBody]

    @classmethod
    def of(cls, one: Rotation, *, at: datetime) -> RotationBody:
        """Describe a rotation as it stands at `at`."""
        current, following = (
            CertificateBody.of(
                each, environments=one.environments, status=status_of(each.not_before, each.not_after, at=at)
            )
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
