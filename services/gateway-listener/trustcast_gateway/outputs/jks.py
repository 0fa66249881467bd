"""The gateway's truststore as a JKS: foreign entries stay as they are, in front; ours follow, sorted by alias."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from trustcast import atomic_file
from trustcast.domain.errors import Conflict, Unavailable
from trustcast.keystore import jks

from trustcast_gateway.outputs import ssl_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trustcast.keystore.jks import RawEntry

    from trustcast_gateway.gateway_home import GatewayHome

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Installed:
    """What a truststore holds, and when that was so: as long as its identity is the same, it need not be read again."""

    path: Path
    password: str = field(repr=False)
    identity: atomic_file.Identity
    entries: list[RawEntry] = field(repr=False)
    reading: dict[str, str] = field(repr=False)


class JksOutput:
    """Writes the truststore of one gateway home. Keeps what it last read or wrote, and trusts that while the file is the same.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._known: _Installed | None = None

    def install(self, home: GatewayHome, managed: Mapping[str, RawEntry]) -> dict[str, str]:
        """Make `managed` (lower-case alias -> `jks.trusted_entry`) all that Trustcast has in the truststore.

        The truststore is replaced first, after pyjks has read its next content from disk; then sslprofiles.xml, which
        makes the gateway look. What is already so is not written again. A foreign entry with the same alias and the
        same certificate becomes ours.

        Returns what pyjks read: alias -> certificate SHA-256 (64 lower hex), foreign certificates included.
        Raises `Conflict` (`foreign_alias`) if an alias is taken by a foreign entry, `Unavailable` otherwise; then the
        truststore is as it was.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._install(home, managed)
            except atomic_file.ChangedMeanwhile:
                time.sleep(_PAUSE_SECONDS * attempt)
        raise Unavailable("truststore_busy", f"Another program keeps changing {home.truststore}; trying again later.")

    def _install(self, home: GatewayHome, managed: Mapping[str, RawEntry]) -> dict[str, str]:
        current = self._current(home)
        wanted = _wanted(current.entries, managed)
        if wanted == current.entries:
            current = replace(current, entries=wanted)  # lets go of a second copy of 10,000 certificates
        else:
            current = _replaced(home, current, wanted)
        self._known = current
        ssl_profiles.renew(home.ssl_profiles, newer_than_ns=current.identity.mtime_ns)
        return current.reading

    def _current(self, home: GatewayHome) -> _Installed:
        known = self._known
        if (
            known is not None
            and (known.path, known.password) == (home.truststore, home.password)
            and known.identity == _identity(home.truststore)
        ):
            return known
        self._known = None
        return _read(home)


def _wanted(present: list[RawEntry], managed: Mapping[str, RawEntry]) -> list[RawEntry]:
    foreign = [entry for entry in present if not entry.is_ours]
    adopted = [entry for entry in foreign if entry.alias.lower() in managed]
    for entry in adopted:
        if entry.certificate != managed[entry.alias.lower()].certificate:
            raise Conflict(
                "foreign_alias",
                f"The gateway's truststore has an entry of its own named {entry.alias!r}; "
                "delete it there or upload under another alias.",
            )
    kept = [entry for entry in foreign if entry not in adopted] if adopted else foreign
    return kept + [managed[alias] for alias in sorted(managed)]


def _read(home: GatewayHome) -> _Installed:
    """Read the truststore, once as we do and once as pyjks does."""
    try:
        with home.truststore.open("rb") as file:
            identity = atomic_file.Identity.of(os.fstat(file.fileno()))
            data = file.read()
    except OSError as error:
        raise Unavailable("truststore_unreadable", f"{home.truststore} cannot be read: {error.strerror}.") from error
    if identity != _identity(home.truststore):
        raise atomic_file.ChangedMeanwhile(home.truststore)
    try:
        entries, reading = jks.read(data, home.password), jks.second_reading(data, home.password)
    except jks.KeystoreError as error:
        raise _unreadable(error, home.truststore) from error
    return _Installed(home.truststore, home.password, identity, entries, reading)


def _replaced(home: GatewayHome, current: _Installed, wanted: list[RawEntry]) -> _Installed:
    """Write the truststore whole and let pyjks read it from disk before it takes the old one's place."""
    data = jks.write(wanted, home.password)
    newer_than = max(ssl_profiles.modified_ns(home.ssl_profiles), current.identity.mtime_ns)
    with atomic_file.replacement(home.truststore, data, newer_than_ns=newer_than) as new:
        reading = jks.second_reading(new.path.read_bytes(), home.password)
        identity = new.commit(expected=current.identity)
    return _Installed(home.truststore, home.password, identity, wanted, reading)


def _identity(path: Path) -> atomic_file.Identity | None:
    try:
        return atomic_file.Identity.of(path.stat())
    except OSError:
        return None


def _unreadable(error: jks.KeystoreError, path: Path) -> Unavailable:
    match error.code:
        case "keystore_truncated":
            detail = f"{path} ends in the middle; perhaps another program is writing it at this moment."
        case "keystore_password":
            detail = f"The password in the gateway's configuration does not open {path}, or the file is damaged."
        case _:
            detail = f"{path}: {error.detail}"
    return Unavailable(error.code.replace("keystore", "truststore"), detail)
