"""Batches, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast_api.schemas import Time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustcast.storage.batches import Batch, Counts, Line

_EXAMPLE: dict[str, Any] = {
    "id": "5e0c6f0e-8c07-4b0a-9d2c-6f1f4c1f2a10",
    "lines": 1200,
    "complete": True,
    "problem": None,
    "accepted_at": "2026-11-23T12:00:00.000Z",
    "requested_by": "token:7f3e2a9c-4a53-4a7b-8d4e-0c1f9b8f2a11",
}
_PROBLEM: dict[str, Any] = {
    "line": 17,
    "alias": "billing",
    "operation": "0b6ff5c2-5a1e-4f5a-9d0c-2f8e9a4d1c37",
    "code": "alias_exists",
    "detail": "Another certificate has this alias; choose another alias.",
    "field": "alias",
}
_COUNTS: dict[str, Any] = {
    "states": {"received": 0, "validated": 0, "applied": 1199, "rejected": 1, "failed": 0, "refused": 0},
    "converged": 1199,
    "problems": [_PROBLEM],
    "total_problems": 1,
    "limit": 100,
    "offset": 0,
}


class BatchProblem(BaseModel):
    """Why no more lines of a batch were taken."""

    code: str
    detail: str


class BatchSummary(BaseModel):
    """Many requests that came in one body. `lines` counts those that were read, empty ones included.

    While `complete` is false there may be more to come.
    """

    id: str
    lines: int
    complete: bool
    problem: BatchProblem | None = None
    accepted_at: Time
    requested_by: str

    @classmethod
    def of(cls, one: Batch) -> BatchSummary:
        """Tell of a batch in short."""
        return cls(**_told(one))


class LineProblem(BaseModel):
    """A line that came to nothing: refused at once, or an `operation` that was rejected or failed."""

    line: int
    alias: str | None = None
    operation: str | None = None
    code: str
    detail: str
    field: str | None = None

    @classmethod
    def of(cls, one: Line) -> LineProblem:
        """Tell what was wrong with a line."""
        why: Mapping[str, Any] = one.problem or {
            "code": "internal_error",
            "detail": "Nothing is known; tell the operator.",
        }
        return cls(
            line=one.number,
            alias=one.alias,
            operation=one.operation,
            code=why["code"],
            detail=why["detail"],
            field=why.get("field"),
        )


class BatchBody(BatchSummary):
    """A batch: how many of its lines are in each state, and one page of those that came to nothing, by line."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | _COUNTS]})
    states: dict[str, int]
    converged: int
    problems: list[LineProblem]
    total_problems: int
    limit: int
    offset: int

    @classmethod
    def told(
        cls, one: Batch, counts: Counts, problems: Sequence[Line], total: int, *, limit: int, offset: int
    ) -> BatchBody:
        """Tell all of a batch."""
        return cls(
            **_told(one),
            states=counts.states,
            converged=counts.converged,
            problems=[LineProblem.of(each) for each in problems],
            total_problems=total,
            limit=limit,
            offset=offset,
        )


class BatchPage(BaseModel):
    """One page of batches, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"batches": [_EXAMPLE], "total": 1, "limit": 100, "offset": 0}]}
    )
    batches: list[BatchSummary]
    total: int
    limit: int
    offset: int


def _told(one: Batch) -> dict[str, Any]:
    problem = BatchProblem(code=one.problem["code"], detail=one.problem["detail"]) if one.problem else None
    return {
        "id": one.id,
        "lines": one.lines,
        "complete": one.complete,
        "problem": problem,
        "accepted_at": one.accepted_at,
        "requested_by": one.requested_by,
    }
