"""Operations, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from trustcast.storage.operations import Kind, State
from trustcast_api import problems
from trustcast_api.schemas import Time, WarningBody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustcast.storage.gateways import Arrival
    from trustcast.storage.operations import Operation


class GatewayArrival(BaseModel):
    """A gateway that has an operation's generation, and since when; or that fails, and why."""

    name: str
    environment: str
    generation: int
    phase: str
    at: Time
    code: str | None
    detail: str | None


class _Fate(BaseModel):
    id: str
    kind: Kind
    state: State
    alias: str
    endpoint: str | None
    problem: dict[str, Any] | None
    warnings: list[WarningBody]
    generations: dict[str, int]
    converged: bool
    accepted_at: Time
    validated_at: Time | None
    applied_at: Time | None
    converged_at: Time | None
    requested_by: str


class OperationSummary(_Fate):
    """A request and its fate, without what single gateways told."""

    @classmethod
    def of(cls, one: Operation, generations: Mapping[str, int]) -> OperationSummary:
        """Tell an operation's story in short."""
        return cls(**_told(one, generations))


class OperationBody(_Fate):
    """A request and its fate, and the gateways that have it or fail."""

    gateways: list[GatewayArrival]

    @classmethod
    def of(cls, one: Operation, generations: Mapping[str, int], arrivals: Sequence[Arrival]) -> OperationBody:
        """Tell an operation's story."""
        return cls(**_told(one, generations), gateways=[GatewayArrival.model_validate(asdict(at)) for at in arrivals])


class OperationPage(BaseModel):
    """One page of operations, the newest first; `total` counts all that match."""

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
        "warnings": [WarningBody.model_validate(warning) for warning in one.warnings],
        "generations": dict(generations),
        "converged": one.converged_at is not None,
        "accepted_at": one.accepted_at,
        "validated_at": one.validated_at,
        "applied_at": one.applied_at,
        "converged_at": one.converged_at,
        "requested_by": one.requested_by,
    }
