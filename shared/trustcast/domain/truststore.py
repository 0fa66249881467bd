"""A truststore's content as values: aliases, the certificates behind them, and the digest over both.

The digest is the SHA-256 over the canonical list `alias NUL certificate-sha256 LF`, sorted by alias, where
the alias is lower-case ASCII and the certificate's SHA-256 is 64 lower-case hexadecimal digits. NUL sorts below
every character of an alias, so sorting the lines sorts the aliases.
"""

from __future__ import annotations

import bisect
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trustcast.domain.errors import Untrusted

if TYPE_CHECKING:
    from collections.abc import Mapping

# Room for another tenant's `alias_tenantId` beyond the 255 characters of an alias.
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]{0,279}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What leads from one generation to another: certificates put under aliases, aliases removed."""

    put: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


class Truststore:
    """The trusted entries of one environment at one generation: lower-case alias -> certificate SHA-256. Immutable."""

    __slots__ = ("_digest", "_entries", "_lines")

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        """Take the entries as they are.

        Raises `Untrusted("entries_malformed")` for an alias or fingerprint that the canonical list cannot carry:
        a NUL or line feed inside one would let two different lists share a digest.
        """
        self._entries = dict(entries or {})
        self._lines = sorted(_line(alias, fingerprint) for alias, fingerprint in self._entries.items())
        self._digest: str | None = None

    @property
    def entries(self) -> Mapping[str, str]:
        """Lower-case alias -> certificate SHA-256 in hexadecimal; do not change it."""
        return self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Truststore) and self._lines == other._lines

    def __hash__(self) -> int:
        return hash(self.digest())

    def apply(self, changes: ChangeSet) -> Truststore:
        """Return the truststore after `changes`; removing what is not there changes nothing.

        Costs two flat copies and a binary search per change, so that 10,000 entries are not sorted again.
        """
        after = Truststore()
        after._entries = self._entries.copy()
        after._lines = self._lines.copy()
        for alias in changes.remove:
            after._remove(alias)
        for alias, fingerprint in changes.put.items():
            after._remove(alias)
            bisect.insort(after._lines, _line(alias, fingerprint))
            after._entries[alias] = fingerprint
        return after

    def digest(self) -> str:
        """SHA-256 over the canonical list, in lower-case hexadecimal; computed once."""
        if self._digest is None:
            self._digest = hashlib.sha256(b"".join(self._lines)).hexdigest()
        return self._digest

    def _remove(self, alias: str) -> None:
        fingerprint = self._entries.pop(alias, None)
        if fingerprint is not None:
            del self._lines[bisect.bisect_left(self._lines, _line(alias, fingerprint))]


def _line(alias: str, fingerprint: str) -> bytes:
    if not _ALIAS.fullmatch(alias) or not _FINGERPRINT.fullmatch(fingerprint):
        raise Untrusted("entries_malformed", "An entry's alias or fingerprint is not in the canonical form.")
    return f"{alias}\0{fingerprint}\n".encode("ascii")
