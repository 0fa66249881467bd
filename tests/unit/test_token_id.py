"""A token is named by the beginning of its id, as long as that is one token's only."""

from __future__ import annotations

import httpx
import pytest

from trustcast_cli import token_id
from trustcast_cli.errors import CannotRun

IDS = ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679-0000-40de-944b-e07fc1f90ae7")


def api() -> httpx.Client:
    listed = httpx.Response(200, json={"tokens": [{"id": one} for one in IDS], "total": len(IDS)})
    return httpx.Client(base_url="http://api.example", transport=httpx.MockTransport(lambda _request: listed))


def test_a_beginning_of_one_id_is_that_id() -> None:
    assert token_id.whole(api(), "7C9E6679-7") == IDS[0]


def test_a_beginning_of_several_names_them() -> None:
    with pytest.raises(CannotRun, match=f"begin with '7c9e6679': {IDS[0]}, {IDS[1]}"):
        token_id.whole(api(), "7c9e6679")
