"""Rotations of certificates as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast_api.schemas_of_certificates import EXAMPLE, CertificateBody
from trustcast_api.schemas_of_usage import PRESENCES, PresenceBody, presences

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast_api.rotate import Rotation

_NEXT: dict[str, Any] = {
    "alias": "billing.next",
    "fingerprint_sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "not_before": "2027-10-01T00:00:00.000Z",
    "not_after": "2028-10-01T00:00:00.000Z",
    "rotates": "billing",
    "operation": "5a1d8c70-9b1f-4c55-8f7e-3f3b0a6c2d48",
}
_ROTATION: dict[str, Any] = {
    "alias": "billing",
    "current": EXAMPLE,
    "following": EXAMPLE | _NEXT,
    "converged": False,
    "gateways": PRESENCES,
}


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
            gateways=presences(one.gateways),
        )
