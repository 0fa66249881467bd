"""A gateway home for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trustcast.keystore import jks
from trustcast_cli import sample_home
from trustcast_gateway.gateway_home import GatewayHome

PASSWORD = "a password"


def make_home(folder: Path, foreign: Iterable[bytes] = (), password: str = PASSWORD) -> GatewayHome:
    """A home in the WSO2 layout whose truststore holds `foreign` certificates (DER) as foreign-1 and so on."""
    entries = {f"foreign-{number}": der for number, der in enumerate(foreign, start=1)}
    sample_home.make_home(folder, password, entries)
    return GatewayHome.read(folder)


def entries(home: GatewayHome) -> list[jks.RawEntry]:
    """What our own reader finds in the home's truststore."""
    return jks.read(home.truststore.read_bytes(), home.password)
