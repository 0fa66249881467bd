"""The api's settings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from trustcast.settings import BrokerSettings, DatabaseSettings


class Unregistered(StrEnum):
    """What becomes of a certificate for an endpoint of no registered API: WSO2's clients upload such ones."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Settings(DatabaseSettings, BrokerSettings):
    """What `python -m trustcast_api` needs to know, as `TRUSTCAST_…`."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=1, le=65535)
    admin_token_file: Path
    gateways_file: Path  # JSON; see `app.enrol`
    unregistered_endpoints: Unregistered = Unregistered.ALLOW
