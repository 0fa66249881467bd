"""What looks like one certificate from outside, before anything of it is read."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.certificates import self_signed
from trustcast.domain.certificate_file import check_outline, read
from trustcast.domain.errors import Rejected

MADE = self_signed()
VERSION, SERIAL, ALGORITHM, SEQUENCE, SET = (
    bytes.fromhex(one) for one in ("a003020102", "020101", "30020600", "3000", "3100")
)
# Issuer, validity, subject and key.
REST = [SEQUENCE] * 4
OPTIONAL = [bytes.fromhex(one) for one in ("a100", "a200", "a300")]
SIGNATURE = bytes.fromhex("0300")


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x83]) + len(content).to_bytes(3) + content


def _outline(fields: list[bytes], *behind: bytes, tag: int = 0x30) -> bytes:
    return _tlv(0x30, b"".join([_tlv(tag, b"".join(fields)), *(behind or (SEQUENCE, SIGNATURE))]))


def _code(data: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        check_outline(data)
    assert refused.value.field == "certificate"
    return refused.value.code


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([SERIAL, ALGORITHM, *REST], id="version 1"),
        pytest.param([VERSION, SERIAL, ALGORITHM, *REST], id="version 3"),
        pytest.param([VERSION, SERIAL, ALGORITHM, *REST, OPTIONAL[2]], id="with extensions"),
        pytest.param([VERSION, SERIAL, ALGORITHM, *REST, *OPTIONAL], id="with all there is"),
    ],
)
def test_outline_of_a_certificate_is_known(fields: list[bytes]) -> None:
    check_outline(_outline(fields))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_outline([]), id="nothing inside"),
        pytest.param(_outline([VERSION]), id="only a version"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST[1:]]), id="a field too few in version 1"),
        pytest.param(_outline([VERSION, SERIAL, ALGORITHM, *REST[1:]]), id="a field too few in version 3"),
        pytest.param(_outline([VERSION, SERIAL, ALGORITHM, *REST, *OPTIONAL, SEQUENCE]), id="a field too many"),
        pytest.param(_outline([OPTIONAL[0], SERIAL, ALGORITHM, *REST]), id="another field where the version stands"),
        pytest.param(_outline([b"\x01\x01\x01", ALGORITHM, *REST]), id="a truth value for a serial"),
        pytest.param(_outline([b"\x03\x01\x01", ALGORITHM, *REST]), id="bits for a serial"),
        pytest.param(_outline([SERIAL, b"\x31\x02\x06\x00", *REST]), id="a set for an algorithm"),
        pytest.param(_outline([SERIAL, b"\x2f\x02\x06\x00", *REST]), id="something else for an algorithm"),
        pytest.param(_outline([SERIAL, b"\x30\x02\x05\x00", *REST]), id="an algorithm that begins with nothing"),
        pytest.param(_outline([SERIAL, b"\x30\x02\x31\x00", *REST]), id="a name for an algorithm"),
        pytest.param(_outline([SERIAL, ALGORITHM, SEQUENCE, SET, SEQUENCE, SEQUENCE]), id="a set for the validity"),
        pytest.param(_outline([SERIAL, ALGORITHM, SEQUENCE, b"\x02\x00", *REST[2:]]), id="a number for the validity"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], SEQUENCE), id="no signature"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], SEQUENCE, SIGNATURE, SEQUENCE), id="more than a signature"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], SEQUENCE, b"\x02\x00"), id="a number for a signature"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], SEQUENCE, b"\x04\x00"), id="octets for a signature"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], SET, SIGNATURE), id="a set for the outer algorithm"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST], tag=0x31), id="a set for what is signed"),
        pytest.param(_outline([SERIAL, ALGORITHM, *REST, b"\x04\x09"]), id="a field that is cut off"),
        pytest.param(b"\x31\x05", id="another element, cut off"),
        pytest.param(b"\x02\x05", id="a number, cut off"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_outlines_are_those_of_something_else(data: bytes) -> None:
    assert _code(data) == "not_a_certificate"


def test_certificate_has_at_most_64_kb() -> None:
    def padded(size: int) -> bytes:
        without = len(_outline([VERSION, SERIAL, ALGORITHM, *REST, _tlv(0xA3, b"")]))
        return _outline([VERSION, SERIAL, ALGORITHM, *REST, _tlv(0xA3, bytes(size - without))])

    assert len(padded(65_536)) == 65_536
    check_outline(padded(65_536))
    assert _code(padded(65_537)) == "certificate_too_large"


def _of_size(size: int) -> x509.Certificate:
    """One whose size does not depend on chance: a signature with Ed25519 has always 64 octets."""
    key = ed25519.Ed25519PrivateKey.generate()

    def made(padding: int) -> x509.Certificate:
        padded = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"a" * padding)
        return self_signed(key=key, serial=1, extensions=[(padded, False)]).certificate

    return made(60_000 + size - len(made(60_000).public_bytes(Encoding.DER)))


def test_certificate_in_pkcs7_has_at_most_64_kb() -> None:
    largest, larger = _of_size(65_536), _of_size(65_537)

    assert len(read(pkcs7.serialize_certificates([largest], Encoding.DER)).certificate) == 65_536
    with pytest.raises(Rejected) as refused:
        read(pkcs7.serialize_certificates([larger], Encoding.DER))
    assert refused.value.code == "certificate_too_large"


def test_file_has_at_most_256_kb() -> None:
    assert read(MADE.pem.ljust(262_144, b"\n")).certificate == MADE.der
    with pytest.raises(Rejected) as refused:
        read(MADE.pem.ljust(262_145, b"\n"))
    assert refused.value.code == "certificate_too_large"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x30\x7f", "not_a_certificate"),  # a text may begin so
        (b"\x30\x80", "indefinite_length"),
        (b"\x30\x81", "certificate_truncated"),
        (b"\x30\x84", "certificate_truncated"),
        (b"\x30\x85", "not_a_certificate"),
        (b"\x2f\x82", "not_a_certificate"),
        (b"\x31\x82", "not_a_certificate"),
        (MADE.der + b"\x30\x82", "several_certificates"),
        (MADE.der + b"\x30\x7f", "trailing_bytes"),
        (MADE.der + b"\x30", "trailing_bytes"),
        (MADE.der + b"\x2f\x82", "trailing_bytes"),
        (MADE.der + b"\x31\x82", "trailing_bytes"),
    ],
)
def test_der_is_told_from_text_by_its_first_two_octets(data: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(data)

    assert refused.value.code == code
