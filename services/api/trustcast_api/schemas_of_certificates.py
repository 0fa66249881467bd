"""Certificates as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast.domain import policy
from trustcast.domain.certificate import Certificate
from trustcast_api.list_certificates import Status, status_of
from trustcast_api.schemas import Time, WarningBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from trustcast.storage.certificates import TrustedCertificate

EXAMPLE: dict[str, Any] = {
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
_PAGE: dict[str, Any] = {"certificates": [EXAMPLE], "total": 1, "limit": 100, "offset": 0}


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

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})
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


class CertificatePage(BaseModel):
    """One page of certificates; `total` counts all that match."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAGE]})
    certificates: list[CertificateBody]
    total: int
    limit: int
    offset: int
