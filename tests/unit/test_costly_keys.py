"""Keys whose signatures take long to verify: made up by who means to keep the door busy."""

from __future__ import annotations

import base64
import random
import textwrap
import time
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.certificates import ec_key
from trustcast.domain import der as asn1
from trustcast.domain.certificate import Certificate
from trustcast.domain.certificate_file import read
from trustcast.domain.errors import Rejected


def _code(data: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        read(data)
    return refused.value.code


def _armoured(label: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


RSA_TOO_COSTLY = {
    "16384 bits": (16384, 2**64 - 1),
    "exponent of 1500 bits": (3072, 2**1500 - 1),
    "512 bits": (512, 65537),
    "exponent of 65 bits": (2048, 2**64 + 1),
}


def _invented(bits: int, exponent: int, issuer: x509.Name, subject: x509.Name) -> bytes:
    """A certificate whose key and signature are made up; the key is as long as the modulus says."""
    modulus = random.Random(bits).getrandbits(bits) | 1 << (bits - 1) | 1
    key = _der(0x30, _der(2, _number(modulus)) + _der(2, _number(exponent)))
    spki = _der(0x30, bytes.fromhex("300d06092a864886f70d0101010500") + _der(3, b"\0" + key))
    signer = ec_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(signer.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(signer, hashes.SHA256())
    )
    own = signer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ecdsa, rsa_sha256 = (bytes.fromhex(one) for one in ("300a06082a8648ce3d040302", "300d06092a864886f70d01010b0500"))
    signed = made.tbs_certificate_bytes.replace(own, spki).replace(ecdsa, rsa_sha256)
    signed = _der(0x30, signed[asn1.element(signed).body :])
    signature = b"\0" + random.Random(exponent).randbytes((bits + 7) // 8 - 1)
    return _der(0x30, signed + rsa_sha256 + _der(3, b"\0" + signature))


def _number(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    long_form = size.to_bytes((size.bit_length() + 7) // 8)
    length = bytes([size]) if size < 0x80 else bytes([0x80 + len(long_form)]) + long_form
    return bytes([tag]) + length + content


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.mark.parametrize("kind", RSA_TOO_COSTLY)
def test_signature_of_a_key_that_no_policy_accepts_is_not_computed(kind: str) -> None:
    made = _invented(*RSA_TOO_COSTLY[kind], _named("a"), _named("a"))

    assert Certificate.parse(made).self_signed
    assert Certificate.parse(made).self_signature_valid is None


@pytest.mark.parametrize("bits", [8192, 16384])
def test_twenty_certificates_with_the_costliest_keys_take_no_time(bits: int) -> None:
    names = [_named(str(number)) for number in range(16)]
    links = [_invented(bits, 2**64 - 1, above, below) for above, below in zip(names[1:], names, strict=False)]
    several = [_invented(bits, 2**64 - 1, names[-1], names[-1]) for _ in range(5)]
    alone = [_invented(bits, 2**64 - 1, _named(f"alone {number}"), _named(f"alone {number}")) for number in range(20)]
    for made in (links + several, alone):
        data = b"".join(_armoured("CERTIFICATE", one) for one in made)
        begun = time.process_time()

        assert _code(data) in {"chain_ambiguous", "chain_unrelated"}
        assert time.process_time() - begun < 0.3  # 0.05 where nothing disturbs
