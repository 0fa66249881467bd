"""What it costs to verify a signature is known before anything is computed, and so is what is not worth it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.certificates import authority, ec_key, issued, rsa_key
from trustcast.domain.signatures import cost
from trustcast.domain.signatures import issued as did_issue

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
VECTORS = Path(str(cryptography_vectors.__file__)).parent


def _with(key: CertificatePublicKeyTypes) -> x509.Certificate:
    return (
        x509.CertificateBuilder(issuer_name=NAME, subject_name=NAME, public_key=key, serial_number=1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(ec_key(), hashes.SHA256())
    )


def _rsa(bits: int, exponent: int) -> x509.Certificate:
    """With a key that is made up."""
    return _with(rsa.RSAPublicNumbers(exponent, 1 << (bits - 1) | 1).public_key())


@pytest.mark.parametrize(
    ("bits", "exponent", "milliseconds"),
    [
        (8192, 2**64 - 1, 1.0),
        (4096, 2**64 - 1, 0.25),
        (4096, 2**31 + 1, 0.125),
        (1024, 2**15 + 1, 1 / 256),
        (8192, 3, 2 / 64),
    ],
)
def test_cost_of_an_rsa_key_grows_with_its_square_and_its_exponent(
    bits: int, exponent: int, milliseconds: float
) -> None:
    assert cost(_rsa(bits, exponent)) == milliseconds


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(1023, 65537), (512, 65537), (8193, 65537), (16384, 65537), (2048, 2**64 + 1), (2048, 2**65 - 1)],
)
def test_nothing_is_computed_with_an_rsa_key_that_no_setting_lets_pass(bits: int, exponent: int) -> None:
    made = _rsa(bits, exponent)

    assert cost(made) is None
    assert did_issue(made, made) is None


def test_other_keys_cost_what_was_measured() -> None:
    measured = {
        "P-256": cost(_with(ec_key().public_key())),
        "Ed25519": cost(_with(ed25519.Ed25519PrivateKey.generate().public_key())),
        "P-384": cost(_with(ec_key(ec.SECP384R1()).public_key())),
        "P-521": cost(_with(ec_key(ec.SECP521R1()).public_key())),
        "Ed448": cost(_with(ed448.Ed448PrivateKey.generate().public_key())),
    }

    assert measured == {"P-256": 0.1, "Ed25519": 0.1, "P-384": 0.75, "P-521": 0.75, "Ed448": 0.75}


def test_key_that_nobody_here_can_read_verifies_nothing() -> None:
    file = VECTORS / "x509/custom/unsupported_subject_public_key_info.pem"
    made = x509.load_pem_x509_certificate(file.read_bytes())

    assert cost(made) is None
    assert did_issue(made, made) is None


def test_even_exponent_verifies_nothing() -> None:
    sound = _rsa(2048, 65537)
    der = sound.public_bytes(Encoding.DER)
    made = x509.load_der_x509_certificate(der.replace(b"\x02\x03\x01\x00\x01", b"\x02\x03\x01\x00\x02"))

    assert cost(sound) is not None
    assert cost(made) is None


def test_issuer_is_who_has_the_name_and_the_key() -> None:
    root, impostor, other = authority("Root"), authority("Root"), authority("Other")
    leaf = issued(root)

    assert did_issue(root.certificate, leaf.certificate) is True
    assert did_issue(impostor.certificate, leaf.certificate) is False
    assert did_issue(other.certificate, leaf.certificate) is None
    assert did_issue(authority("Root", key=rsa_key()).certificate, leaf.certificate) is None
