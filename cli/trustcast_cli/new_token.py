"""A new token: made here, known to the api by its SHA-256, shown once."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from trustcast_cli import client, output, secret_file
from trustcast_cli.errors import CannotRun

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the token is to be; `prefixes` None: it may change any alias."""

    name: str
    tenant: str
    scopes: tuple[str, ...]
    prefixes: tuple[str, ...] | None
    expires_at: datetime


def create(api: httpx.Client, wanted: Wanted, file: Path | None) -> None:
    """Make it, and print it on stdout or keep it in `file`, which must not be there yet. Raises `CannotRun`."""
    token = "tc_" + secrets.token_urlsafe(32)
    if file is not None:
        _keep(file, token)  # first: a token that cannot be kept must not come to life
    try:
        made = client.ask(api, "POST", "/v1/tokens", json=_body(wanted, token)).json()
    except CannotRun:
        if file is not None:
            file.unlink(missing_ok=True)
        raise
    output.note(f"Token {made['id']} of {made['tenant']}, until {made['expires_at']}: {' '.join(made['scopes'])}")
    if file is None:
        print(token)
    else:
        output.note(f"It is in {file}.")


def moment(text: str, now: datetime | None = None) -> datetime:
    """Read `12h`, `30d`, `8w` (from now on), or a date or an instant of ISO 8601, in UTC unless it says otherwise.

    Raises `CannotRun`.
    """
    try:
        if relative := re.fullmatch("([0-9]{1,5})([hdw])", text):
            return (now or datetime.now(UTC)) + timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        absolute = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CannotRun(f"--expires takes 12h, 30d, 8w, or a date such as 2027-01-31, not {text!r}.") from None
    return absolute if absolute.tzinfo else absolute.replace(tzinfo=UTC)


def _body(wanted: Wanted, token: str) -> dict[str, object]:
    return {
        "name": wanted.name,
        "tenant": wanted.tenant,
        "scopes": list(wanted.scopes),
        "alias_prefixes": None if wanted.prefixes is None else list(wanted.prefixes),
        "expires_at": wanted.expires_at.isoformat(timespec="milliseconds"),
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
    }


def _keep(file: Path, token: str) -> None:
    if file.exists():
        raise CannotRun(f"{file} is there already; name another file, or remove it.")
    try:
        secret_file.write(file, token + "\n")
    except OSError as error:
        raise CannotRun(f"{file} cannot be written: {error.strerror}.") from None
