"""The rules about the key of a certificate and the signature on it: what can be broken, or forged."""

from __future__ import annotations

from trustcast.domain.policy_case import RSA_BITS, WEAK_HASHES, Case, Rule

# With a longer exponent a JVM cannot read the key, nor then the whole key store.
RSA_EXPONENTS = range(65537, 2**64)
RSA_BITS_ADVISED = 3072
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
# MD2 nobody can verify any more, and a JVM will not: no setting brings it back.
WEAK_HASHES_ALLOWED = frozenset({"md5", "sha1"})


def _key_kind_unknown(case: Case) -> bool:
    key = case.certificate.key
    return key.kind not in {"rsa", "ec", "ed25519"} or (key.kind == "ec" and key.curve not in CURVES)


def _key_size_bad(case: Case) -> bool:
    key = case.certificate.key
    return key.kind == "rsa" and key.bits not in RSA_BITS and not (case.policy.allow_short_keys and case.has_short_key)


def _exponent_bad(case: Case) -> bool:
    exponent = case.certificate.key.exponent
    return exponent is not None and (exponent % 2 == 0 or exponent not in RSA_EXPONENTS)


def _signature_too_weak(case: Case) -> bool:
    allowed = WEAK_HASHES_ALLOWED if case.policy.allow_weak_signatures else frozenset()
    return case.is_weakly_signed and case.certificate.signature_hash not in allowed


SELF_SIGNATURE_INVALID = Rule(
    "self_signature_invalid",
    "The certificate is self-signed, but its signature does not verify: it was changed or damaged; "
    "export it from the server again.",
    lambda case: case.certificate.self_signature_valid is False,
)

KEY_UNSUPPORTED = Rule(
    "key_unsupported",
    "The certificate's key is of a kind that is not accepted; use RSA from 2048 bits, P-256, P-384, P-521 or Ed25519.",
    _key_kind_unknown,
)

KEY_SIZE = Rule(
    "key_size",
    "The certificate's RSA key is shorter than 2048 or longer than 8192 bits; make a new key and certificate. "
    "From 1024 bits on a tenant's policy can accept it (allow_short_keys).",
    _key_size_bad,
)

KEY_EXPONENT = Rule(
    "key_exponent",
    "The certificate's RSA key has a public exponent that is even, below 65537 or longer than 64 bits; "
    "make a new key and certificate.",
    _exponent_bad,
)

SIGNATURE_WEAK = Rule(
    "signature_weak",
    "The certificate is signed with MD2, MD5 or SHA-1, which can be forged; have it issued with SHA-256. "
    "MD5 and SHA-1 a tenant's policy can accept (allow_weak_signatures).",
    _signature_too_weak,
)

SIGNATURE_UNSUPPORTED = Rule(
    "signature_unsupported",
    "The certificate is signed with an algorithm that is not known here; have it issued with SHA-256 and RSA "
    "or ECDSA, or with Ed25519.",
    lambda case: case.certificate.signature_hash == "unknown",
)

KEY_SHORT_ACCEPTED = Rule(
    "key_short_accepted",
    "DANGER: this RSA key has fewer than 2048 bits and was accepted because this tenant's policy allows it; it can "
    "be broken, and whoever breaks it can pose as the backend. Make a new key and certificate.",
    lambda case: case.has_short_key,
)

SIGNATURE_WEAK_ACCEPTED = Rule(
    "signature_weak_accepted",
    "DANGER: this certificate is signed with MD5 or SHA-1 and was accepted because this tenant's policy allows it; "
    "such signatures can be forged. Have it issued with SHA-256.",
    lambda case: case.is_weakly_signed,
)

ROOT_SIGNATURE_WEAK = Rule(
    "root_signature_weak",
    "This root is signed with MD2, MD5 or SHA-1; that proves nothing on a root, but tells its age.",
    lambda case: case.certificate.signature_hash in WEAK_HASHES and case.is_root,
)

KEY_RSA_SHORT = Rule(
    "key_rsa_short",
    "The RSA key has fewer than 3072 bits: enough today, too few for certificates meant to last.",
    lambda case: case.certificate.key.kind == "rsa" and RSA_BITS.start <= case.certificate.key.bits < RSA_BITS_ADVISED,
)
