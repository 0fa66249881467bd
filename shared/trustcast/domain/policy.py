"""Which certificates may be trusted: everything that can be said without looking at what is stored.

A gateway's JVM does not check what it finds in its truststore: a leaf that is expired, weak or not yet valid is
accepted once it is in there, and a v1 certificate or a CA vouches for every name. So it is decided here.

Each rule has one code and one sentence. Of several reasons to refuse the first in `REFUSALS` is given: they stand
from the most to the least fundamental.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected

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
UNLIMITED = "unlimited"
"""How a `certificates_per_endpoint` of None is written where null means something else."""

_SERVER_USES = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string}
)


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the word of the contract; nobody needs the built-in one here
    """Something that was accepted and that its owner should know."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What one tenant accepts; as it stands here, what an installation does unless told otherwise.

    `certificates_per_endpoint`: from 1; None: any number. `allow_ca`: accept certification authorities where the
    request means one (`ca=true`). `allow_server_ca`: accept, with a warning, a self-signed server certificate that is
    a CA as well (what `openssl req -x509` makes by default). `allow_v1`: accept X.509 v1 certificates, although each
    of them can vouch for every name. `allow_not_yet_valid`: accept, for a time of activation, what is not valid yet.
    `allow_short_keys`: RSA from 1024 bits. `allow_weak_signatures`: SHA-1 and MD5.
    """

    certificates_per_endpoint: int | None = 1
    allow_ca: bool = True
    allow_server_ca: bool = True
    allow_v1: bool = False
    allow_not_yet_valid: bool = False
    allow_short_keys: bool = False
    allow_weak_signatures: bool = False

    def check(
        self,
        certificate: Certificate,
        *,
        endpoint: Endpoint,
        at: datetime,
        ca: bool,
        accept_expired: bool = False,
        activate_at: datetime | None = None,
    ) -> tuple[Warning, ...]:
        """Return what to warn of; raises `Rejected` with the first code of `REFUSALS` that applies.

        `at` and `activate_at` are aware; `ca` says that the request means a certification authority, not a server's
        certificate. `accept_expired` lets one pass whose time is over: an installation that is taken over may already
        trust it. With `activate_at`, from when on the certificate is to be trusted, its validity is judged as of then.
        """
        is_for_endpoint = certificate.is_for(endpoint.host)
        case = _Case(self, certificate, is_for_endpoint, at, ca, accept_expired, activate_at)
        for rule in REFUSALS:
            if rule.applies(case):
                raise Rejected(rule.code, rule.detail, field=rule.field)
        return tuple(Warning(rule.code, rule.detail) for rule in WARNINGS if rule.applies(case))

    def with_settings(self, settings: Mapping[str, Any]) -> Policy:
        """Return this policy with a tenant's own `settings`, as JSON has them (`unlimited` for any number).

        What is not known here, by its name or its value, was written by a newer version and changes nothing.
        """
        known = {name: value for name, value in settings.items() if _is_setting(name, value)}
        if known.get(_PER_ENDPOINT) == UNLIMITED:
            known[_PER_ENDPOINT] = None
        return replace(self, **known)

    def settings(self) -> dict[str, int | str]:
        """Return all of it as JSON has it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {_PER_ENDPOINT: values[_PER_ENDPOINT] or UNLIMITED}


USUAL = Policy()
_PER_ENDPOINT = "certificates_per_endpoint"


def _is_setting(name: str, value: object) -> bool:
    if name == _PER_ENDPOINT:
        return value == UNLIMITED or (type(value) is int and value > 0)
    return name in Policy.__dataclass_fields__ and isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class _Case:
    policy: Policy
    certificate: Certificate
    is_for_endpoint: bool
    at: datetime
    ca: bool
    accept_expired: bool
    activate_at: datetime | None

    @property
    def trusted_from(self) -> datetime:
        return max(self.at, self.activate_at or self.at)

    @property
    def is_expired(self) -> bool:
        return self.trusted_from > self.certificate.not_after

    @property
    def is_not_yet_valid(self) -> bool:
        return self.certificate.not_before > self.at + CLOCK_SKEW

    @property
    def is_server_ca(self) -> bool:
        """A CA only because `openssl req -x509` makes one: self-signed, and named like the endpoint.

        It is one whatever the request calls it, or `ca=true` would be the way around the setting and the warning.
        """
        return self.certificate.is_ca and self.certificate.self_signed and self.is_for_endpoint

    @property
    def is_weakly_signed(self) -> bool:
        """A root's signature proves nothing: who trusts a root trusts its key."""
        return self.certificate.signature_hash in WEAK_HASHES and not self.is_root

    @property
    def has_short_key(self) -> bool:
        key = self.certificate.key
        return key.kind == "rsa" and SHORTEST_RSA_ALLOWED <= key.bits < RSA_BITS.start

    @property
    def is_root(self) -> bool:
        return self.certificate.self_signed and (self.certificate.is_ca or self.certificate.version == 1)

    @property
    def shows_at_endpoint(self) -> bool:
        return not (self.certificate.is_ca and self.ca)


@dataclass(frozen=True, slots=True)
class Rule:
    """`applies` says whether a case is what `detail` describes."""

    code: str
    detail: str
    applies: Callable[[_Case], bool]
    field: str = "certificate"


def _key_kind_unknown(case: _Case) -> bool:
    key = case.certificate.key
    return key.kind not in {"rsa", "ec", "ed25519"} or (key.kind == "ec" and key.curve not in CURVES)


def _key_size_bad(case: _Case) -> bool:
    key = case.certificate.key
    return key.kind == "rsa" and key.bits not in RSA_BITS and not (case.policy.allow_short_keys and case.has_short_key)


def _signature_too_weak(case: _Case) -> bool:
    allowed = WEAK_HASHES_ALLOWED if case.policy.allow_weak_signatures else frozenset()
    return case.is_weakly_signed and case.certificate.signature_hash not in allowed


def _activated_too_early(case: _Case) -> bool:
    return case.is_not_yet_valid and case.activate_at is not None and case.activate_at < case.certificate.not_before


def _activated_too_late(case: _Case) -> bool:
    return case.activate_at is not None and case.activate_at - case.at > FARTHEST_ACTIVATION


def _exponent_bad(case: _Case) -> bool:
    exponent = case.certificate.key.exponent
    return exponent is not None and (exponent % 2 == 0 or exponent not in RSA_EXPONENTS)


def _not_for_servers(case: _Case) -> bool:
    usages = case.certificate.extended_key_usages
    return not case.certificate.is_ca and usages is not None and not usages & _SERVER_USES


def _long_lived(case: _Case) -> bool:
    it = case.certificate
    return case.shows_at_endpoint and it.not_after - it.not_before > LONGEST_LEAF


def _has_alternative_name(case: _Case) -> bool:
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
        "The certificate's RSA key is shorter than 2048 or longer than 8192 bits; make a new key and certificate.",
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
        "The certificate is signed with MD2, MD5 or SHA-1, which can be forged; have it issued with SHA-256.",
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
        "The certificate has expired, or will have expired at activate_at; upload its successor.",
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
        "This X.509 version 1 certificate was accepted because a setting allows it; whoever holds its key can pose "
        "as any backend of this gateway. Replace it with a version 3 certificate.",
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

KEY_REUSED = Warning(
    "key_reused",
    "Another certificate of this tenant has the same key: whoever gets hold of one has both. "
    "Make a key of its own for each certificate.",
)
"""The one warning that needs a look at what is stored; it is given where changes are applied."""

REASONS = {rule.code: rule.detail for rule in (*REFUSALS, *WARNINGS, KEY_REUSED)}

_PASSING = frozenset({"activates_later", "expires_soon", "expired"})
_PLACES = {code: place for place, code in enumerate(REASONS)}


def standing_warnings(stored: Iterable[Mapping[str, str]], *, not_after: datetime, at: datetime) -> tuple[Warning, ...]:
    """Return the warnings of a trusted certificate as of `at`: those kept when it came in, its end brought up to date.

    `stored` has a `code` and a `detail` each; codes that are not known here stay as they are, at the end.
    """
    kept = [Warning(one["code"], one["detail"]) for one in stored if one["code"] not in _PASSING]
    if at > not_after:
        kept.append(Warning("expired", REASONS["expired"]))
    elif not_after - at <= EXPIRES_SOON:
        kept.append(Warning("expires_soon", REASONS["expires_soon"]))
    return tuple(sorted(kept, key=lambda one: _PLACES.get(one.code, len(_PLACES))))
