"""What certificates are used for and which gateways have them, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trustcast_api.schemas_of_certificates import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustcast.storage.presence import Presence
    from trustcast_api.usage import Usage

PRESENCES: list[Any] = [
    {"name": "gateway-1", "environment": "Production and Sandbox", "has_it": True},
    {"name": "gateway-2", "environment": "Production and Sandbox", "has_it": False},
]
_USE: dict[str, Any] = {
    "id": "c1c6ae1f-6f0a-4f55-8a60-3f27f1c0a5a9",
    "name": "shop",
    "version": "1.0",
    "context": "/shop",
    "provider": "admin",
    "endpoint": "https://billing.example:8443",
    "role": "production",
}
_USAGE: dict[str, Any] = {"apis": [_USE], "environments": EXAMPLE["environments"], "gateways": PRESENCES}


class UseBody(BaseModel):
    """An endpoint of an API that a certificate serves; `id` is the API's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USE]})
    id: str
    name: str
    version: str
    context: str
    provider: str
    endpoint: str
    role: str


class PresenceBody(BaseModel):
    """Whether a gateway has reported a generation that holds a certificate."""

    name: str
    environment: str
    has_it: bool


class UsageBody(BaseModel):
    """Which APIs a certificate serves, where it goes, and which gateways have it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USAGE]})
    apis: list[UseBody]
    environments: list[str]
    gateways: list[PresenceBody]

    @classmethod
    def of(cls, one: Usage) -> UsageBody:
        """Describe how a certificate is used."""
        return cls(
            apis=[UseBody.model_validate(asdict(use)) for use in one.apis],
            environments=one.environments,
            gateways=presences(one.gateways),
        )


def presences(found: Sequence[Presence]) -> list[PresenceBody]:
    """Describe which gateways have a certificate."""
    return [PresenceBody.model_validate(asdict(one)) for one in found]
