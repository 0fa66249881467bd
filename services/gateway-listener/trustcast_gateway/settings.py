"""The listener's settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, StringConstraints, model_validator

from trustcast import settings
from trustcast.domain.head import key_id, public_key_from_pem
from trustcast.settings import SettingsError, secret

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)


class Settings(settings.Settings):
    """What `python -m trustcast_gateway` needs to know, as `TRUSTCAST_…`."""

    api_url: Annotated[str, StringConstraints(pattern=r"^https?://[^/]")]
    redis_url: str | None = None  # without Redis only the tick looks for news
    redis_url_file: Path | None = None
    gateway_name: Annotated[str, StringConstraints(min_length=1)]
    gateway_environment: Annotated[str, StringConstraints(min_length=1)]
    gateway_home: Path
    gateway_token_file: Path
    gateway_state_dir: Path
    gateway_reconcile_seconds: Annotated[float, Field(gt=0, le=86400)] = 30.0
    gateway_truststore_password_file: Path | None = None  # needed where the gateway's is in a secure vault
    head_public_key_file: Path  # pinned; while keys change it holds several
    health_file: Path | None = None  # touched by every refresh that reached the api, whatever came of it

    @model_validator(mode="after")
    def _at_most_one_redis_url(self) -> Self:
        if self.redis_url is not None and self.redis_url_file is not None:
            raise ValueError("set TRUSTCAST_REDIS_URL or TRUSTCAST_REDIS_URL_FILE, not both")
        return self

    def redis(self) -> str | None:
        """Return Redis' URL, if there is one. Raises `SettingsError` if its file cannot be read."""
        return self.redis_url if self.redis_url_file is None else secret(self.redis_url_file)

    def token(self) -> str:
        """Return this gateway's bearer token. Raises `SettingsError`."""
        return secret(self.gateway_token_file)

    def truststore_password(self) -> str | None:
        """Return the truststore's password, if it is given here. Raises `SettingsError`."""
        return None if self.gateway_truststore_password_file is None else secret(self.gateway_truststore_password_file)

    def head_keys(self) -> dict[str, Ed25519PublicKey]:
        """Return the pinned keys by key id. Raises `SettingsError`, or `Unavailable("head_key_unusable")`."""
        try:
            data = self.head_public_key_file.read_bytes()
        except OSError as error:
            reason = f"The head's public key {self.head_public_key_file} cannot be read: {error.strerror}."
            raise SettingsError(reason) from None
        keys = [public_key_from_pem(pem) for pem in _PEM.findall(data) or [data]]
        return {key_id(key): key for key in keys}
