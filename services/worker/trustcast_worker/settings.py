"""The worker's settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from trustcast.settings import BrokerSettings, DatabaseSettings, PolicySettings, SettingsError


class Settings(DatabaseSettings, BrokerSettings, PolicySettings):
    """What `python -m trustcast_worker` needs to know, as `TRUSTCAST_…`."""

    head_key_file: Path  # Ed25519, PKCS#8 PEM; only the worker holds it
    worker_concurrency: PositiveInt = 2
    health_file: Path | None = None  # touched by every sweep
    worker_sweep_seconds: PositiveFloat = 5.0

    def head_key(self) -> bytes:
        """Return the head key's PEM. Raises `SettingsError` if the file cannot be read."""
        try:
            return self.head_key_file.read_bytes()
        except OSError as error:
            raise SettingsError(f"The head key {self.head_key_file} cannot be read: {error.strerror}.") from None
