"""What schemathesis does here beside its own: it often names what exists, sends real certificates, and never waits.

Loaded by schemathesis (`SCHEMATHESIS_HOOKS`); `FUZZ_KNOWN` is the JSON of what exists, field name -> values.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["FUZZ_KNOWN"])


@schemathesis.hook
def map_path_parameters(
    context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Name something that exists in two of three cases: else nearly everything would be a 404."""
    if not isinstance(path_parameters, dict):
        return path_parameters
    path = context.operation.path if context.operation else ""
    return {name: _known(f"{path.split('/')[2]}.{name}", value) for name, value in path_parameters.items()}


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Let nobody wait for news that does not come."""
    if not isinstance(query, dict):
        return query
    return {
        name: 0 if name == "wait" and isinstance(value, int) and value > 0 else value for name, value in query.items()
    }


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Send what can be accepted in two of three cases: a certificate where a file belongs, an https endpoint."""
    if not isinstance(body, dict):
        return body
    return {name: _known(f"body.{name}", value) for name, value in body.items()}


def _known(name: str, value: Any) -> Any:
    choices, luck = KNOWN.get(name, []), zlib.crc32(repr(value).encode("utf-8", "surrogatepass"))
    return choices[luck // 3 % len(choices)] if choices and luck % 3 else value


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a line as it was made."""
    return str(value).encode("utf-8", "surrogatepass")
