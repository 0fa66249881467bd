"""Verifying who signed a certificate, with keys that may be made up: how long that takes is for their maker to choose.

What a signature costs grows with the square of an RSA modulus and with its exponent: with 16384 and 64 bits one takes
4 ms, and a file may hold twenty.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustcast.domain.policy_case import RSA_BITS, SHORTEST_RSA_ALLOWED
from trustcast.domain.rules_about_keys import RSA_EXPONENTS

_BITS = range(SHORTEST_RSA_ALLOWED, RSA_BITS.stop)
_EXPONENT_BITS = (RSA_EXPONENTS.stop - 1).bit_length()
_OTHER_CURVE = 0.75


def issued(issuer: x509.Certificate, one: x509.Certificate) -> bool | None:
    """Tell whether `issuer` has the name and the key of who signed `one`; None where that cannot be verified here.

    Nothing is computed with an RSA key that the policy refuses whatever a tenant's settings are.
    """
    if cost(issuer) is None:
        return None
    try:
        one.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    # An algorithm that nobody here can compute; the policy refuses it by its name.
    except (UnsupportedAlgorithm, TypeError, ValueError):
        return None
    return True


def cost(issuer: x509.Certificate) -> float | None:
    """Return about how many milliseconds it takes to verify what `issuer` signed, None where it is not done."""
    try:
        key = issuer.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None
    match key:
        case rsa.RSAPublicKey():
            exponent_bits = key.public_numbers().e.bit_length()
            if key.key_size not in _BITS or exponent_bits > _EXPONENT_BITS:
                return None
            return (key.key_size / _BITS[-1]) ** 2 * exponent_bits / _EXPONENT_BITS
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | ed25519.Ed25519PublicKey():
            return 0.1
        case _:
            return _OTHER_CURVE
