"""What the policy judges: a certificate, what is asked of it, and when; and what a rule about that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustcast.domain.certificate import Certificate
    from trustcast.domain.policy import Policy

CLOCK_SKEW = timedelta(minutes=5)
RSA_BITS = range(2048, 8192 + 1)
SHORTEST_RSA_ALLOWED = 1024
WEAK_HASHES = frozenset({"md2", "md5", "sha1"})


@dataclass(frozen=True, slots=True)
class Case:
    """A certificate, what is asked of it, and what the tenant accepts; see `Policy.check`."""

    policy: Policy
    certificate: Certificate
    is_for_endpoint: bool
    at: datetime
    ca: bool
    accept_expired: bool
    activate_at: datetime | None

    @property
    def trusted_from(self) -> datetime:
        """Return the time as of which its validity is judged."""
        return max(self.at, self.activate_at or self.at)

    @property
    def is_expired(self) -> bool:
        """Tell whether it is over by then."""
        return self.trusted_from > self.certificate.not_after

    @property
    def is_not_yet_valid(self) -> bool:
        """Tell whether it is still to begin, clocks being a little off."""
        return self.certificate.not_before > self.at + CLOCK_SKEW

    @property
    def is_server_ca(self) -> bool:
        """Tell whether it is a CA only because `openssl req -x509` makes one: self-signed, and named like the endpoint.

        It is one whatever the request calls it, or `ca=true` would be the way around the setting and the warning.
        """
        return self.certificate.is_ca and self.certificate.self_signed and self.is_for_endpoint

    @property
    def is_weakly_signed(self) -> bool:
        """Tell whether its signature can be forged. A root's proves nothing: who trusts a root trusts its key."""
        return self.certificate.signature_hash in WEAK_HASHES and not self.is_root

    @property
    def has_short_key(self) -> bool:
        """Tell whether its key is one that a setting may let pass."""
        key = self.certificate.key
        return key.kind == "rsa" and SHORTEST_RSA_ALLOWED <= key.bits < RSA_BITS.start

    @property
    def is_root(self) -> bool:
        """Tell whether it vouches for itself, and so for others."""
        return self.certificate.self_signed and (self.certificate.is_ca or self.certificate.version == 1)

    @property
    def shows_at_endpoint(self) -> bool:
        """Tell whether it is meant as a server's own."""
        return not (self.certificate.is_ca and self.ca)


@dataclass(frozen=True, slots=True)
class Rule:
    """`applies` says whether a case is what `detail` describes."""

    code: str
    detail: str
    applies: Callable[[Case], bool]
    field: str = "certificate"
