"""What the api says, as JSON: pydantic models and how rows become them. Times are RFC 3339, UTC, milliseconds.

The larger families have files of their own, `schemas_of_….py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from trustcast.domain import pem, policy
from trustcast.storage.gateways import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustcast.storage.gateways import GatewayStatus
    from trustcast.storage.truststores import Noted, Status


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(at: datetime) -> datetime:
    """A time without a zone is taken for UTC, as all times here are."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such time in UTC") from None


def without_key(text: str) -> str:
    """Return the text, which is going to be kept. Raises `Rejected("private_key")`."""
    pem.refuse_private_key(text.encode())
    return text


# PostgreSQL stores no NUL. No name of ours has a control character, nor one that turns the direction of writing: what
# steers a terminal or makes one name look like another.
_NO_TEXT = r"\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
NAME, PROSE = rf"^[^\x00-\x1f{_NO_TEXT}]{{1,255}}$", rf"^[^\x00{_NO_TEXT}]*$"
Name = Annotated[str, StringConstraints(pattern=NAME), AfterValidator(without_key)]
Prose = Annotated[str, StringConstraints(pattern=PROSE, max_length=1000), AfterValidator(without_key)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
Time = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


class WarningBody(BaseModel):
    """Something to know about a certificate that was accepted."""

    code: str
    detail: str


class EntryBody(BaseModel):
    """One entry of a truststore, and what to know about it as of now."""

    alias: str
    fingerprint_sha256: str
    warnings: list[WarningBody]


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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "environment": "default",
                    "type": "hybrid",
                    "generation": 12,
                    "entries_sha256": "9c" * 32,
                    "entries": [{"alias": "billing", "fingerprint_sha256": "4f" * 32, "warnings": []}],
                    "gateways": [
                        {
                            "name": "gateway-1",
                            "generation": 11,
                            "entries_sha256": "7a" * 32,
                            "phase": "failed",
                            "code": "write_failed",
                            "detail": "No space left on device; free some.",
                            "at": "2026-11-23T12:00:00.123Z",
                            "in_sync": False,
                        }
                    ],
                    "converged": False,
                }
            ]
        }
    )
    environment: str
    type: str
    generation: int
    entries_sha256: str
    entries: list[EntryBody]
    gateways: list[GatewayBody]
    converged: bool

    @classmethod
    def of(
        cls,
        status: Status,
        entries: Mapping[str, str],
        gateways: Sequence[GatewayStatus],
        noted: Mapping[str, Noted],
        *,
        at: datetime,
    ) -> TruststoreBody:
        """Describe a truststore as it stands at `at`; `noted` is what there is to say of its entries, by alias."""
        bodies = [_gateway(one, status) for one in gateways]
        return cls(
            environment=status.environment,
            type=status.type,
            generation=status.generation,
            entries_sha256=status.entries_sha256,
            entries=[
                EntryBody(alias=alias, fingerprint_sha256=sha256, warnings=_standing(noted.get(alias), at))
                for alias, sha256 in sorted(entries.items())
            ],
            gateways=bodies,
            converged=all(one.in_sync for one in bodies),
        )


class HeadBody(BaseModel):
    """A signed head as a DSSE envelope: `payload` is base64, its type `application/vnd.trustcast.head+json`."""

    payload: str
    payloadType: str  # noqa: N815 - DSSE's name
    signatures: list[dict[str, str]]


class ChangeBody(BaseModel):
    """A certificate (DER in base64) put under an alias, or an alias removed."""

    change: Literal["put", "remove"]
    alias: str
    certificate: str | None = None


class ChangesBody(BaseModel):
    """What leads from generation `after` to the head's; before the first generation there is no head."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "head": {
                        "payload": "eyJlbnZpcm9ubWVudCI6…",
                        "payloadType": "application/vnd.trustcast.head+json",
                        "signatures": [{"keyid": "9c" * 32, "sig": "MEUCIQ…"}],
                    },
                    "after": 11,
                    "changes": [{"change": "put", "alias": "billing", "certificate": "MIIB…"}],
                }
            ]
        }
    )
    head: HeadBody | None
    after: int
    changes: list[ChangeBody]


class ReportBody(BaseModel):
    """What a listener sends after each look; `generation` and digest as read back from disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"environment": "default", "generation": 12, "entries_sha256": "9c" * 32, "phase": "installed"}
            ]
        }
    )
    environment: Name
    generation: int = Field(ge=0, lt=2**63)
    entries_sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    phase: Phase
    code: str | None = Field(default=None, pattern="^[a-z0-9_]{1,64}$")
    detail: Prose | None = None


def _standing(noted: Noted | None, at: datetime) -> list[WarningBody]:
    if noted is None:
        return []
    warnings = policy.standing_warnings(noted.warnings, not_after=noted.not_after, at=at)
    return [WarningBody(code=one.code, detail=one.detail) for one in warnings]


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
