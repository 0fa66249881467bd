"""What every route of `/v1` may answer beside its own: a problem document (RFC 9457)."""

from __future__ import annotations

from typing import Any, Final

_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
_TEXT: Final = {"type": "string"}
_FIELD: Final = {
    "type": ["string", "null"],
    "description": "Where it stands, such as `endpoints.production.kind`; null where it is no field in particular.",
}

SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What was wrong: `code` is stable, for scripts; `detail` says what to do.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": _TEXT | {"format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _TEXT,
        "code": _TEXT | {"pattern": "^[a-z0-9_]+$"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {"field": _FIELD, "code": _TEXT, "detail": _TEXT},
            },
        },
        "operation": _TEXT | {"description": "The operation that ended so, where one was accepted."},
        "batch": _TEXT | {"description": "The batch of the lines that were taken, where some were."},
        "users": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/UseBody"},
            "description": "With `certificate_in_use`: the APIs that need the certificate.",
        },
        "gateways": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "environment"],
                "properties": {"name": _TEXT, "environment": _TEXT},
            },
            "description": "With `rotation_not_converged`: the gateways that lack the next certificate.",
        },
    },
}
_REFUSED: Final = {
    "description": "Refused; the problem says why.",
    "content": {"application/problem+json": {"schema": _REFERENCE}},
}
_AWAY: Final = {
    "description": "Database or broker do not answer; nothing was kept. Try again after `Retry-After` seconds.",
    "headers": {"Retry-After": {"schema": {"type": "integer"}}},
    "content": {"application/problem+json": {"schema": _REFERENCE}},
}


def complete(responses: dict[str, Any]) -> None:
    """Add what any route may answer; FastAPI's own 422 goes, because what does not validate is a 400 here."""
    if responses.get("422", {}).get("description") == "Validation Error":
        del responses["422"]
    if not any(status.startswith("4") for status in responses):
        responses |= {"4XX": _REFUSED, "503": _AWAY}
