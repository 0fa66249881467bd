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
_SECOND: Final = 1_000_000_000  # nanoseconds
_WORTH_REMEMBERING: Final = 1_000  # entries; pyjks reads them in 5 ms


@dataclass(frozen=True, slots=True)
class _Installed:
    """What a truststore holds, and when that was so: as long as its identity is the same, it need not be read again.

    `reading` is what pyjks read; `read_whole` is false where it read some entries in an earlier file (`_reading`).
    """

    path: Path
    password: str = field(repr=False)
    identity: atomic_file.Identity
    entries: list[RawEntry] = field(repr=False)
    foreign: list[RawEntry] = field(repr=False)
    reading: dict[str, str] = field(repr=False)
    read_whole: bool


class JksOutput:
    """Writes the truststore of one gateway home; not for several threads at once.

    Keeps what it last read or wrote, and believes that while the file is the same.
    """

    def __init__(self) -> None:
        self._known: _Installed | None = None
        self._hidden: tuple[Path, int] | None = None

    @property
    def unsettled(self) -> bool:
        """Whether sslprofiles.xml got two times in one second, so that `settle` has to renew it in a later one.

        False where its time is ahead of the clock: that can last long, and the tick comes anyway.
        """
        return self._hidden is not None and self._hidden[1] < time.time_ns() + _SECOND

    def install(self, home: GatewayHome, managed: Mapping[str, RawEntry]) -> dict[str, str]:
        """Make `managed` (lower-case alias -> `jks.trusted_entry`) all that Trustcast has in the truststore.

        The truststore is replaced first, after pyjks has read its next content from disk; then sslprofiles.xml, which
        makes the gateway look. What is already so is not written again. Where a foreign
        entry has the same alias and the same certificate, it stays as it is and serves.

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

    def settle(self) -> None:
        """Renew sslprofiles.xml once more if it got two times in one second and that is over.

        Java 8 cuts file times to whole seconds (JDK-8177809): a gateway that looked between the two saw only the first.
        Raises `Unavailable`.
        """
        if self._hidden is not None and _second(time.time_ns()) > _second(self._hidden[1]):
            profiles, time_ns = self._hidden
            ssl_profiles.renew(profiles, newer_than_ns=time_ns)
            self._hidden = None

    def look(self, home: GatewayHome) -> None:
        """Read the truststore and change nothing. Raises `Unavailable` for one that could not be written either."""
        self._known = self._current(home)

    def _install(self, home: GatewayHome, managed: Mapping[str, RawEntry]) -> dict[str, str]:
        current = self._current(home)
        wanted = _wanted(current, managed)
        if wanted != current.entries:
            current = _replaced(home, current, wanted)
        elif not current.read_whole:
            current = _read_whole(home, current)
        self._known = current
        self._renew(home.ssl_profiles, current.identity.mtime_ns)
        return current.reading

    def _renew(self, profiles: Path, newer_than: int) -> None:
        before = ssl_profiles.modified_ns(profiles)
        ssl_profiles.renew(profiles, newer_than_ns=newer_than)
        after = ssl_profiles.modified_ns(profiles)
        if after != before:
            self._hidden = (profiles, after) if _second(after) == _second(before) else None

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


def _second(time_ns: int) -> int:
    return time_ns // _SECOND


def _wanted(current: _Installed, managed: Mapping[str, RawEntry]) -> list[RawEntry]:
    """The foreign entries as they are, then ours; where a foreign entry says what ours would, it serves."""
    taken = set()
    for entry in current.foreign:
        alias = entry.alias.lower()
        if alias not in managed:
            continue
        # Java trusts nothing under an alias with a capital letter, so only the very same alias serves.
        if entry.alias != alias or entry.certificate != managed[alias].certificate:
            raise Conflict(
                "foreign_alias",
                f"The gateway's truststore has an entry of its own named {entry.alias!r}; "
                "delete it there, or delete the certificate here and upload it under another alias.",
            )
        taken.add(alias)
    return current.foreign + [managed[alias] for alias in sorted(managed.keys() - taken)]


def _read(home: GatewayHome) -> _Installed:
    """Read the truststore, once as we do and once as pyjks does."""
    if home.type != "JKS":
        raise Unavailable(
            "truststore_not_jks", f"The gateway calls {home.truststore} a {home.type}; only JKS is written."
        )
    data, identity = _content(home.truststore)
    try:
        entries, reading = jks.read(data, home.password), jks.second_reading(data, home.password)
    except jks.KeystoreError as error:
        raise _unreadable(error, home.truststore) from error
    foreign = [entry for entry in entries if not entry.is_ours]
    return _Installed(home.truststore, home.password, identity, entries, foreign, reading, read_whole=True)


def _read_whole(home: GatewayHome, current: _Installed) -> _Installed:
    """Let pyjks read all of what it has read in parts."""
    data, identity = _content(home.truststore)
    if identity != current.identity:
        raise atomic_file.ChangedMeanwhile(home.truststore)
    try:
        return replace(current, reading=jks.second_reading(data, home.password), read_whole=True)
    except jks.KeystoreError as error:
        raise _unreadable(error, home.truststore) from error


def _content(path: Path) -> tuple[bytes, atomic_file.Identity]:
    """Read a file that nobody else changes while it is read."""
    try:
        with path.open("rb") as file:
            identity = atomic_file.Identity.of(os.fstat(file.fileno()))
            data = file.read()
    except OSError as error:
        raise Unavailable("truststore_unreadable", f"{path} cannot be read: {error.strerror}.") from error
    if identity != _identity(path):
        raise atomic_file.ChangedMeanwhile(path)
    return data, identity


def _replaced(home: GatewayHome, current: _Installed, wanted: list[RawEntry]) -> _Installed:
    """Write the truststore whole and let it be read from disk before it takes the old one's place."""
    data = jks.write(wanted, home.password)
    newer_than = max(ssl_profiles.modified_ns(home.ssl_profiles), current.identity.mtime_ns)
    with atomic_file.replacement(home.truststore, data, newer_than_ns=newer_than) as new:
        written = new.path.read_bytes()
        if written != data:
            raise Unavailable("write_failed", f"{new.path} does not read as it was written; check the disk.")
        reading, read_whole = _reading(written, current, wanted, home.password)
        identity = new.commit(expected=current.identity)
    return _Installed(home.truststore, home.password, identity, wanted, current.foreign, reading, read_whole)


def _reading(written: bytes, current: _Installed, wanted: list[RawEntry], password: str) -> tuple[dict[str, str], bool]:
    """What pyjks reads in `written`, and whether it read the whole of it.

    It takes 50 ms for 10,000 entries, several times what all the rest of an install takes. An entry means the same
    wherever it stands, so in a large file it reads those whose bytes it has not read before; that the others are still
    the same bytes was compared on disk. The next install that has nothing to write lets it read the whole file.
    """
    seen = {entry.raw for entry in current.entries}
    unseen = [entry for entry in wanted if entry.raw not in seen]
    if len(wanted) - len(unseen) <= _WORTH_REMEMBERING:
        return jks.second_reading(written, password), True
    earlier = current.reading
    reading = {entry.alias: earlier[entry.alias] for entry in wanted if entry.alias in earlier}
    return reading | jks.second_reading(jks.write(unseen, password), password), False


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
