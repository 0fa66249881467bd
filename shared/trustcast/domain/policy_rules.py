"""The rules of the policy: each has one code and one sentence, and says whether a case is what that describes.

They stand from the most to the least fundamental; docs/policy.md has them all, with what to do about each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from trustcast.domain.certificate import Certificate
    from trustcast.domain.policy import Policy

CLOCK_SKEW = timedelta(minutes=5)
EXPIRES_SOON = timedelta(days=30)
LONGEST_LEAF = timedelta(days=398)
FARTHEST_ACTIVATION = timedelta(days=366)
RSA_BITS = range(2048, 8192 + 1)
RSA_BITS_ADVISED = 3072
SHORTEST_RSA_ALLOWED = 1024
# With a longer exponent a JVM cannot read the key, nor then the whole key store.
RSA_EXPONENTS = range(65537, 2**64)
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
WEAK_HASHES = frozenset({"md2", "md5", "sha1"})
# MD2 nobody can verify any more, and a JVM will not: no setting brings it back.
WEAK_HASHES_ALLOWED = frozenset({"md5", "sha1"})

_SERVER_USES = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string}
)


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


def _key_kind_unknown(case: Case) -> bool:
    key = case.certificate.key
    return key.kind not in {"rsa", "ec", "ed25519"} or (key.kind == "ec" and key.curve not in CURVES)


def _key_size_bad(case: Case) -> bool:
    key = case.certificate.key
    return key.kind == "rsa" and key.bits not in RSA_BITS and not (case.policy.allow_short_keys and case.has_short_key)


def _signature_too_weak(case: Case) -> bool:
    allowed = WEAK_HASHES_ALLOWED if case.policy.allow_weak_signatures else frozenset()
    return case.is_weakly_signed and case.certificate.signature_hash not in allowed


def _activated_too_early(case: Case) -> bool:
    return case.is_not_yet_valid and case.activate_at is not None and case.activate_at < case.certificate.not_before


def _activated_too_late(case: Case) -> bool:
    return case.activate_at is not None and case.activate_at - case.at > FARTHEST_ACTIVATION


def _exponent_bad(case: Case) -> bool:
    exponent = case.certificate.key.exponent
    return exponent is not None and (exponent % 2 == 0 or exponent not in RSA_EXPONENTS)


def _not_for_servers(case: Case) -> bool:
    usages = case.certificate.extended_key_usages
    return not case.certificate.is_ca and usages is not None and not usages & _SERVER_USES


def _long_lived(case: Case) -> bool:
    it = case.certificate
    return case.shows_at_endpoint and it.not_after - it.not_before > LONGEST_LEAF


def _has_alternative_name(case: Case) -> bool:
    return bool(case.certificate.dns_names or case.certificate.ip_addresses)


REFUSALS = (
    Rule(
        "validity_reversed",
        "The certificate ends before it begins to be valid; have it issued again.",
        lambda case: case.certificate.not_after < case.certificate.not_before,
    ),
    Rule(
        "self_signature_invalid",
        "The certificate is self-signed, but its signature does not verify: it was changed or damaged; "
        "export it from the server again.",
        lambda case: case.certificate.self_signature_valid is False,
    ),
    Rule(
        "certificate_v1",
        "The certificate is X.509 version 1: it cannot say that it is no CA, so a gateway would let it vouch for "
        "every name. Make a version 3 certificate (openssl req -x509 -addext basicConstraints=critical,CA:FALSE).",
        lambda case: case.certificate.version == 1 and not case.policy.allow_v1,
    ),
    Rule(
        "critical_extension_unknown",
        "The certificate holds a critical extension that is not understood here, so it must not be used "
        "(RFC 5280, 4.2). Understood are basic constraints, key usage, extended key usage, and, with nothing but DNS "
        "names, IP addresses and directory names, subject alternative name and name constraints; have it issued "
        "without the others, or with them not critical.",
        lambda case: bool(case.certificate.unknown_critical),
    ),
    Rule(
        "key_unsupported",
        "The certificate's key is of a kind that is not accepted; use RSA from 2048 bits, P-256, P-384, P-521 or "
        "Ed25519.",
        _key_kind_unknown,
    ),
    Rule(
        "key_size",
        "The certificate's RSA key is shorter than 2048 or longer than 8192 bits; make a new key and certificate. "
        "From 1024 bits on a tenant's policy can accept it (allow_short_keys).",
        _key_size_bad,
    ),
    Rule(
        "key_exponent",
        "The certificate's RSA key has a public exponent that is even, below 65537 or longer than 64 bits; "
        "make a new key and certificate.",
        _exponent_bad,
    ),
    Rule(
        "signature_weak",
        "The certificate is signed with MD2, MD5 or SHA-1, which can be forged; have it issued with SHA-256. "
        "MD5 and SHA-1 a tenant's policy can accept (allow_weak_signatures).",
        _signature_too_weak,
    ),
    Rule(
        "signature_unsupported",
        "The certificate is signed with an algorithm that is not known here; have it issued with SHA-256 and RSA "
        "or ECDSA, or with Ed25519.",
        lambda case: case.certificate.signature_hash == "unknown",
    ),
    Rule(
        "certificate_not_yet_valid",
        "The certificate is not valid yet; upload it when it is, or correct the clock of the machine that made it. "
        "Where the tenant's policy has allow_not_yet_valid, activate_at says from when on to trust it.",
        lambda case: case.is_not_yet_valid and case.activate_at is None,
    ),
    Rule(
        "activate_at_not_allowed",
        "The certificate is not valid yet, and this tenant's policy accepts none ahead of its time; upload it when it "
        "is valid, or ask an administrator for allow_not_yet_valid.",
        lambda case: case.is_not_yet_valid and not case.policy.allow_not_yet_valid,
        field="activate_at",
    ),
    Rule(
        "activate_at_too_early",
        "The certificate is not valid yet at activate_at; choose a time from the beginning of its validity on.",
        _activated_too_early,
        field="activate_at",
    ),
    Rule(
        "activate_at_too_late",
        "activate_at is more than 366 days ahead; choose an earlier time, or upload the certificate later.",
        _activated_too_late,
        field="activate_at",
    ),
    Rule(
        "certificate_expired",
        "The certificate has expired, or will have before it is to be trusted; upload its successor.",
        lambda case: case.is_expired and not case.accept_expired,
    ),
    Rule(
        "ca_without_cert_sign",
        "The certificate is a CA whose key usage does not allow it to sign certificates (RFC 5280, 4.2.1.3); "
        "have it issued with keyCertSign or with CA:FALSE.",
        lambda case: case.certificate.is_ca and case.certificate.key_cert_sign is False,
    ),
    Rule(
        "not_for_servers",
        "The certificate's extended key usage does not include server authentication; "
        "upload the certificate that the backend shows to its clients.",
        _not_for_servers,
    ),
    Rule(
        "server_ca_forbidden",
        "This server certificate is a CA as well (CA:TRUE, as 'openssl req -x509' makes it by default), and this "
        "tenant's policy accepts none of that kind (allow_server_ca). Make it again with "
        "'-addext basicConstraints=critical,CA:FALSE'.",
        lambda case: case.is_server_ca and not case.policy.allow_server_ca,
    ),
    Rule(
        "ca_forbidden",
        "The certificate is a CA, and this tenant's policy accepts none (allow_ca); upload the backend's own "
        "certificate.",
        lambda case: case.certificate.is_ca and not case.policy.allow_ca and (case.ca or not case.is_server_ca),
    ),
    Rule(
        "ca_not_allowed",
        "The certificate is a CA: it would vouch for every name, not only for this endpoint. Upload the backend's "
        "own certificate, or send ca=true if you do mean to trust everything that this CA signs.",
        lambda case: case.certificate.is_ca and not case.ca and not case.is_server_ca,
    ),
)

WARNINGS = (
    Rule(
        "ca_matches_endpoint",
        "DANGER: this server certificate is a CA as well (CA:TRUE, as 'openssl req -x509' makes it by default), so "
        "whoever holds its key can pose as ANY backend of this gateway. Make it again with "
        "'-addext basicConstraints=critical,CA:FALSE', or isolate endpoints from each other on the gateway.",
        lambda case: case.is_server_ca,
    ),
    Rule(
        "v1_accepted",
        "DANGER: this X.509 version 1 certificate was accepted because this tenant's policy allows it; whoever holds "
        "its key can pose as ANY backend of this gateway. Replace it with a version 3 certificate.",
        lambda case: case.certificate.version == 1,
    ),
    Rule(
        "key_short_accepted",
        "DANGER: this RSA key has fewer than 2048 bits and was accepted because this tenant's policy allows it; it can "
        "be broken, and whoever breaks it can pose as the backend. Make a new key and certificate.",
        lambda case: case.has_short_key,
    ),
    Rule(
        "signature_weak_accepted",
        "DANGER: this certificate is signed with MD5 or SHA-1 and was accepted because this tenant's policy allows it; "
        "such signatures can be forged. Have it issued with SHA-256.",
        lambda case: case.is_weakly_signed,
    ),
    Rule(
        "ca_without_name_constraints",
        "This CA has no name constraints: it vouches for every name.",
        # The loud warning of a server's certificate says it already.
        lambda case: case.certificate.is_ca and not case.is_server_ca and not case.certificate.has_name_constraints,
    ),
    Rule(
        "root_signature_weak",
        "This root is signed with MD2, MD5 or SHA-1; that proves nothing on a root, but tells its age.",
        lambda case: case.certificate.signature_hash in WEAK_HASHES and case.is_root,
    ),
    Rule(
        "activates_later",
        "The certificate is not trusted before its activate_at; until then backends that show it are refused.",
        lambda case: case.trusted_from > case.at,
    ),
    Rule(
        "expired",
        "The certificate has expired; a gateway's JVM does not check that and trusts it all the same. Replace it.",
        lambda case: case.is_expired,
    ),
    Rule(
        "expires_soon",
        "The certificate expires within 30 days; have its successor ready.",
        lambda case: not case.is_expired and case.certificate.not_after - case.trusted_from <= EXPIRES_SOON,
    ),
    Rule(
        "validity_long",
        "The server certificate is valid for more than 398 days, the longest that public CAs may issue.",
        _long_lived,
    ),
    Rule(
        "key_rsa_short",
        "The RSA key has fewer than 3072 bits: enough today, too few for certificates meant to last.",
        lambda case: (
            case.certificate.key.kind == "rsa" and RSA_BITS.start <= case.certificate.key.bits < RSA_BITS_ADVISED
        ),
    ),
    Rule(
        "wildcard",
        "The certificate has a wildcard name: it stands for every host of that domain.",
        lambda case: any("*" in name for name in case.certificate.names),
    ),
    Rule(
        "no_alternative_name",
        "The certificate has no subject alternative name; clients that follow RFC 9525 will not accept it.",
        lambda case: case.shows_at_endpoint and not _has_alternative_name(case),
    ),
    Rule(
        "name_mismatch",
        "The certificate's names do not include the endpoint's host; a gateway that checks host names will refuse "
        "the connection.",
        lambda case: case.shows_at_endpoint and not case.is_for_endpoint,
    ),
)
