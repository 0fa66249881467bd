"""Make Trustcast's environments what a list says, one after the other; what is so already is not touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from trustcast_cli import client
from trustcast_cli.api_manager import Environment
from trustcast_cli.errors import CannotRun


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one, in words."""

    name: str
    type: str
    became: str
    is_refused: bool = False


def run(api: httpx.Client, named: Sequence[Environment]) -> list[Imported]:
    """Create or edit the environments; those that the api refuses are told with the others. Raises `CannotRun`."""
    listed = client.ask(api, "GET", "/v1/environments").json()["environments"]
    there = {one["name"]: Environment(one["name"], one["type"], one["description"]) for one in listed}
    return [_imported(api, one, there.get(one.name)) for one in named]


def _imported(api: httpx.Client, one: Environment, old: Environment | None) -> Imported:
    if one == old:
        return Imported(one.name, one.type, "left as it is")
    body = {"type": one.type, "description": one.description}
    try:
        client.ask(api, "PUT", f"/v1/environments/{quote(one.name, safe='')}", json=body)
    except CannotRun as error:
        return Imported(one.name, one.type, f"refused: {error}", is_refused=True)
    if old is None:
        return Imported(one.name, one.type, "created")
    return Imported(one.name, one.type, f"changed, it was {old.type}" if old.type != one.type else "changed")
