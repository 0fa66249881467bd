"""Operations, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast.domain.operation import ENDED, Kind, State
from trustcast_api import problems
from trustcast_api.schemas import Time, WarningBody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustcast.storage.gateways import Arrival
    from trustcast.storage.operations import Operation


# What may be null says so by its default, too: FastAPI leaves nulls out of the document's examples.
_EXAMPLE: dict[str, Any] = {
    "id": "0b6ff5c2-5a1e-4f5a-9d0c-2f8e9a4d1c37",
    "kind": "add",
    "state": "applied",
    "alias": "billing",
    "endpoint": "https://billing.example:8443",
    "problem": None,
    "warnings": [{"code": "expires_soon", "detail": "The certificate expires within 30 days."}],
    "generations": {"Production and Sandbox": 17},
    "converged": True,
    "accepted_at": "2026-11-23T12:00:00.000Z",
    "validated_at": "2026-11-23T12:00:00.020Z",
    "applied_at": "2026-11-23T12:00:00.041Z",
    "converged_at": "2026-11-23T12:00:00.187Z",
    "requested_by": "token:7f3e2a9c-4a53-4a7b-8d4e-0c1f9b8f2a11",
}
_ARRIVAL: dict[str, Any] = {
    "name": "gateway-1",
    "environment": "Production and Sandbox",
    "generation": 17,
    "phase": "loaded",
    "at": "2026-11-23T12:00:00.187Z",
    "code": None,
    "detail": None,
}


class GatewayArrival(BaseModel):
    """A gateway that has an operation's generation, and since when; or that fails, and why."""

    name: str
    environment: str
    generation: int
    phase: str
    at: Time
    code: str | None = None
    detail: str | None = None


class _Fate(BaseModel):
    id: str
    kind: Kind
    state: State
    alias: str
    endpoint: str | None = None
    problem: dict[str, Any] | None = None
    warnings: list[WarningBody]
    generations: dict[str, int]
    converged: bool
    accepted_at: Time
    activate_at: Time | None = None
    validated_at: Time | None = None
    applied_at: Time | None = None
    converged_at: Time | None = None
    requested_by: str


class OperationSummary(_Fate):
    """A request and its fate, without what single gateways told."""

    @classmethod
    def of(cls, one: Operation, generations: Mapping[str, int]) -> OperationSummary:
        """Tell an operation's story in short."""
        return cls(**_told(one, generations))


class OperationBody(_Fate):
    """A request and its fate, and the gateways that have it or fail."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | {"gateways": [_ARRIVAL]}]})
    gateways: list[GatewayArrival]

    @classmethod
    def of(cls, one: Operation, generations: Mapping[str, int], arrivals: Sequence[Arrival]) -> OperationBody:
        """Tell an operation's story."""
        return cls(**_told(one, generations), gateways=[GatewayArrival.model_validate(asdict(at)) for at in arrivals])


class OperationPage(BaseModel):
    """One page of operations, the newest first; `total` counts all that match."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"operations": [_EXAMPLE], "total": 1, "limit": 100, "offset": 0}]}
    )
    operations: list[OperationSummary]
    total: int
    limit: int
    offset: int


def _told(one: Operation, generations: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "state": one.state,
        "alias": one.alias,
        "endpoint": one.endpoint,
        "problem": problems.of_operation(one.problem) if one.problem else None,
        "warnings": [WarningBody.model_validate(warning) for warning in one.warnings if _still_true(one, warning)],
        "generations": dict(generations),
        "converged": one.converged_at is not None,
        "accepted_at": one.accepted_at,
        "activate_at": one.activate_at,
        "validated_at": one.validated_at,
        "applied_at": one.applied_at,
        "converged_at": one.converged_at,
        "requested_by": one.requested_by,
    }


def _still_true(one: Operation, warning: Mapping[str, str]) -> bool:
    """What has ended waits for no time any more."""
    return one.state not in ENDED or warning["code"] != "activates_later"
