"""One frozen settings object per process, read once at its start from environment variables `TRUSTCAST_…`.

A name that the process does not know and a name that it misses are fatal and named. Secrets are file paths: the
value never stands in the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TRUSTCAST_"


class Settings(BaseModel):
    """Base of every process' settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(Settings):
    """`TRUSTCAST_DATABASE_URL`, an SQLAlchemy URL, or the file that holds it, where it contains a password."""

    database_url: str | None = None
    database_url_file: Path | None = None

    @model_validator(mode="after")
    def _one_database_url(self) -> Self:
        _exactly_one(self, "database_url", "database_url_file")
        return self

    def database(self) -> str:
        """Return the database's URL."""
        return self.database_url or secret(self.database_url_file)


class RedisSettings(Settings):
    """`TRUSTCAST_REDIS_URL`, or the file that holds it: hints go there, and the tasks unless a broker is named."""

    redis_url: str | None = None
    redis_url_file: Path | None = None

    @model_validator(mode="after")
    def _one_redis_url(self) -> Self:
        _exactly_one(self, "redis_url", "redis_url_file")
        return self

    def redis(self) -> str:
        """Return Redis' URL."""
        return self.redis_url or secret(self.redis_url_file)


class BrokerSettings(RedisSettings):
    """`TRUSTCAST_BROKER_URL` or its file: Celery's broker, where it is not the Redis of the hints."""

    broker_url: str | None = None
    broker_url_file: Path | None = None

    def broker(self) -> str:
        """Return the URL of Celery's broker."""
        if self.broker_url_file is not None:
            return secret(self.broker_url_file)
        return self.broker_url or self.redis()


def _limit(value: object) -> object:
    """Pydantic would say why it is neither a number nor a word, in two sentences."""
    text = str(value)
    if text != "unlimited" and not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise ValueError("give a number, 1 or more, or `unlimited`")
    return text if text == "unlimited" else int(text)


class PolicySettings(Settings):
    """What the installation accepts where a tenant's own policy does not say otherwise; see `domain/policy.py`."""

    certificates_per_endpoint: Annotated[int | Literal["unlimited"], BeforeValidator(_limit)] = 1

    @property
    def per_endpoint(self) -> int | None:
        """Certificates per endpoint, None: no limit."""
        return None if self.certificates_per_endpoint == "unlimited" else self.certificates_per_endpoint


S = TypeVar("S", bound=Settings)


class SettingsError(Exception):
    """What is wrong with the environment, in one sentence a person can act on."""


def load(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `kind` from the environment. Raises `SettingsError` that names every variable at fault."""
    environ = os.environ if environ is None else environ
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    unknown = sorted(given.keys() - kind.model_fields.keys())
    if unknown:
        raise SettingsError("Unknown setting: " + ", ".join(PREFIX + name.upper() for name in unknown) + ".")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise SettingsError(
            "Settings: " + "; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors()) + "."
        ) from None


def secret(path: Path | None) -> str:
    """Return a secret file's text, stripped. Raises `SettingsError` for one that is missing, unreadable or empty."""
    if path is None:
        raise SettingsError("A secret's file is not named.")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"The secret file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"The secret file {path} holds no text in UTF-8.") from None
    if not text:
        raise SettingsError(f"The secret file {path} is empty.")
    return text


def _exactly_one(settings: Settings, plain: str, file: str) -> None:
    if (getattr(settings, plain) is None) == (getattr(settings, file) is None):
        raise ValueError(f"set either {PREFIX}{plain.upper()} or {PREFIX}{file.upper()}")


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(PREFIX + str(part).upper() for part in location)
    said = message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
