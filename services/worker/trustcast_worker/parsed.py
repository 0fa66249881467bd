"""Certificates that this process has read, so that what it validated it need not read again to apply it."""

from __future__ import annotations

from functools import lru_cache

from trustcast.domain.certificate import Certificate

_KEPT = 10_000  # a whole bulk: it is applied after most of it was validated. A server's certificate takes 2 KB


@lru_cache(maxsize=_KEPT)
def parsed(der: bytes) -> Certificate:
    """Return the certificate in DER. Raises `Rejected`, each time anew."""
    return Certificate.parse(der)
