"""What the commands say when the api refuses."""

from __future__ import annotations

import httpx

from trustcast_cli.client import problem


def test_what_is_wrong_with_a_field_is_told_with_the_field() -> None:
    errors = [
        {"field": "endpoints.production.kind", "code": "field_invalid", "detail": "Send one of: single, failover."},
        {"field": "scopes", "code": "scope_unknown", "detail": "The scopes are these."},
        {"field": None, "code": "field_unknown", "detail": "One field is none of those there are: name."},
    ]
    answer = httpx.Response(400, json={"code": "invalid_request", "detail": "Some fields are wrong.", "errors": errors})

    assert problem(answer) == (
        "endpoints.production.kind: Send one of: single, failover. The scopes are these. "
        "One field is none of those there are: name. (invalid_request)"
    )
