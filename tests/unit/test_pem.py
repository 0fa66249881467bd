"""A file is exactly one certificate or refused; a private key is refused first, wherever and however it stands."""

from __future__ import annotations

import base64
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.certificates import ec_key, rsa_key, self_signed
from trustcast.domain import pem
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Policy

MADE = self_signed()
VECTORS = Path(str(cryptography_vectors.__file__)).parent
SECRET = BestAvailableEncryption(b"secret")


def _refusal(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as refused:
        pem.only_certificate(data)
    assert refused.value.field == "certificate"
    return refused.value


def _code(data: bytes) -> str:
    return _refusal(data).code


def _armoured(label: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


@cache
def _keys() -> dict[str, bytes]:
    rsa = rsa_key()
    kinds: dict[str, PrivateKeyTypes] = {
        "RSA": rsa,
        "EC": ec_key(),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "DSA": dsa.generate_private_key(2048),
    }
    forms: dict[str, bytes] = {
        "PKCS #12": pkcs12.serialize_key_and_certificates(b"a", rsa, None, None, NoEncryption()),
        "PKCS #12 encrypted": pkcs12.serialize_key_and_certificates(b"a", rsa, None, None, SECRET),
        "OpenSSH": rsa.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        # `cryptography` needs bcrypt to make one.
        "OpenSSH encrypted": (VECTORS / "asymmetric/OpenSSH/ed25519-psw.key").read_bytes(),
        "PKCS #1 encrypted PEM": rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, SECRET),
    }
    for kind, key in kinds.items():
        for how, encoding in (("PEM", Encoding.PEM), ("DER", Encoding.DER)):
            form = f"{kind} {how}"
            forms[f"PKCS #8 {form}"] = key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
            forms[f"PKCS #8 encrypted {form}"] = key.private_bytes(encoding, PrivateFormat.PKCS8, SECRET)
            if kind != "Ed25519":
                old = key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
                forms[f"traditional {form}"] = old
    return forms


FORMS = [
    *(f"PKCS #8 {lock}{kind} {how}" for lock in ("", "encrypted ") for kind in ("RSA", "EC", "Ed25519", "DSA")
      for how in ("PEM", "DER")),
    *(f"traditional {kind} {how}" for kind in ("RSA", "EC", "DSA") for how in ("PEM", "DER")),
    *("PKCS #1 encrypted PEM", "OpenSSH", "OpenSSH encrypted", "PKCS #12", "PKCS #12 encrypted"),
]  # fmt: skip

PLACES: dict[str, Callable[[bytes], bytes]] = {
    "alone": lambda key: key,
    "before the certificate": lambda key: key + MADE.pem,
    "after the certificate": lambda key: MADE.pem + key,
    "after a certificate in DER": lambda key: MADE.der + key,
    "after trailing bytes": lambda key: MADE.der + b"\0\xff\x30" + key,
    "after text": lambda key: b"my key is " + key,
    "in a block that is called a certificate": lambda key: _armoured("CERTIFICATE", key),
    "after the certificate inside its block": lambda key: _armoured("CERTIFICATE", MADE.der + key),
    "as bare base64": base64.b64encode,
    "as base64 after words": lambda key: b"my key " + base64.b64encode(key),
    "as url-safe base64": base64.urlsafe_b64encode,
    "as base64 in a quoted mail": lambda key: textwrap.indent(base64.encodebytes(key).decode(), "> ").encode(),
    "after a byte-order mark": lambda key: b"\xef\xbb\xbf" + key,
    "behind 100 KB": lambda key: b"\n" * 100_000 + key,
}


def test_every_form_of_key_is_tried() -> None:
    assert set(FORMS) == set(_keys())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_private_key_is_refused_before_anything_else(form: str, place: str) -> None:
    assert _code(PLACES[place](_keys()[form])) == "private_key"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("form", [form for form in FORMS if form.endswith("PEM")])
def test_private_key_in_wide_characters_is_refused(form: str, encoding: str) -> None:
    assert _code(_keys()[form].decode().encode(encoding)) == "private_key"


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN PRIVATE KEY-----",
        b"-----begin rsa private key-----",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----",
        b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        b"PuTTY-User-Key-File-3: ssh-ed25519",
        b'{"kty":"OKP","crv":"Ed25519","d":"AAAA"}',
        b"<RSAKeyValue><Modulus>AA</Modulus><D>AA</D></RSAKeyValue>",
        b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\0",
        b"\xce\xce\xce\xce\0\0\0\x02\0\0\0\0",
        base64.b64encode(b"\xfe\xed\xfe\xed\0\0\0\x02" + bytes(40)),
        b"\0\0\0\x02\0\0\0\x14" + bytes(20),
    ],
)
def test_other_marks_of_a_key_or_key_store_are_enough(data: bytes) -> None:
    assert _code(data) == "private_key"


def test_key_store_is_refused_although_it_holds_only_certificates() -> None:
    store = pkcs12.serialize_key_and_certificates(None, None, None, [MADE.certificate], NoEncryption())

    assert _code(store) == "private_key"


def test_key_store_with_indefinite_lengths_is_refused() -> None:
    assert _code(bytes.fromhex("308002010330800609 2a864886f70d010701 a080 2480") + bytes(80)) == "private_key"


def test_key_that_is_cut_off_is_still_a_key() -> None:
    assert _code(_keys()["PKCS #8 RSA DER"][:200]) == "private_key"


def test_key_in_any_other_field_is_refused_by_its_name() -> None:
    with pytest.raises(Rejected) as refused:
        pem.refuse_private_key(MADE.key_pem, "alias")

    assert (refused.value.code, refused.value.field) == ("private_key", "alias")


def test_ordinary_text_field_holds_no_key() -> None:
    pem.refuse_private_key(b"https://backend.example:8443/v1?a=b", "endpoint")
    pem.refuse_private_key(MADE.pem)


@pytest.mark.parametrize("serial", [1, 2, 3])
def test_certificate_of_version_1_with_a_small_serial_is_not_taken_for_a_key(serial: int) -> None:
    pem.refuse_private_key(bytes.fromhex(f"3041303c0201{serial:02x}300a06082a8648ce3d040302") + b"\x30\x10" + bytes(40))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MADE.pem, id="PEM"),
        pytest.param(MADE.der, id="DER"),
        pytest.param(MADE.pem.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\r\n \n" + MADE.pem + b"\r\n\t \n", id="white space around"),
        pytest.param(MADE.pem.rstrip(), id="no line break at the end"),
        pytest.param(MADE.pem.replace(b"\n", b" \n"), id="spaces at the ends of lines"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(MADE.der) + b"\n-----END CERTIFICATE-----",
                     id="one long line"),
    ],
)  # fmt: skip
def test_one_certificate_is_taken(data: bytes) -> None:
    assert pem.only_certificate(data) == MADE.der


def _request() -> x509.CertificateSigningRequest:
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(ec_key(), hashes.SHA256())


def _revocations() -> x509.CertificateRevocationList:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(MADE.certificate.subject)
    return builder.last_update(day).next_update(day).sign(MADE.key, hashes.SHA256())


PUBLIC = MADE.key.public_key()
LINES = MADE.pem.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"", "certificate_empty", id="empty"),
        pytest.param(b" \r\n\t", "certificate_empty", id="only white space"),
        pytest.param(b"a" * (64 * 1024 + 1), "certificate_too_large", id="too large"),
        pytest.param(MADE.pem + b"\n" * 64 * 1024, "certificate_too_large", id="too large with white space"),
        pytest.param(b"\xef\xbb\xbf" + MADE.pem, "byte_order_mark", id="UTF-8 mark"),
        pytest.param(MADE.pem.decode().encode("utf-16"), "byte_order_mark", id="UTF-16"),
        pytest.param(MADE.pem.decode().encode("utf-16-le"), "not_a_certificate", id="UTF-16 without a mark"),
        pytest.param(MADE.pem * 2, "several_certificates", id="two in PEM"),
        pytest.param(MADE.der * 2, "several_certificates", id="two in DER"),
        pytest.param(_armoured("CERTIFICATE", MADE.der * 2), "several_certificates", id="two in one block"),
        pytest.param(b"text\n" + MADE.pem, "text_around_certificate", id="text before"),
        pytest.param(MADE.pem + b"text\n", "text_around_certificate", id="text after"),
        pytest.param(MADE.pem + b"\0", "text_around_certificate", id="NUL after"),
        pytest.param(MADE.pem + LINES[-1], "text_around_certificate", id="END twice"),
        pytest.param(LINES[0] + b"a: b\n\n" + b"".join(LINES[1:]), "pem_headers", id="headers"),
        pytest.param(MADE.der + b"\n", "trailing_bytes", id="line break after DER"),
        pytest.param(_armoured("CERTIFICATE", MADE.der + b"\0"), "trailing_bytes", id="byte after DER in PEM"),
        pytest.param(MADE.der[:-1], "certificate_truncated", id="cut-off DER"),
        pytest.param(MADE.der[:3], "certificate_truncated", id="hardly any DER"),
        pytest.param(_armoured("CERTIFICATE", MADE.der[:-9]), "certificate_truncated", id="cut-off DER in PEM"),
        pytest.param(b"".join(LINES[:-1]), "broken_pem", id="no END"),
        pytest.param(b"".join(LINES[1:]), "broken_pem", id="no BEGIN"),
        pytest.param(base64.b64encode(MADE.der), "broken_pem", id="bare base64"),
        pytest.param(MADE.pem.replace(b"\n", b" "), "broken_pem", id="line breaks lost"),
        pytest.param(MADE.pem.replace(b"\n", b""), "broken_pem", id="line breaks removed"),
        pytest.param(MADE.pem.replace(b"-----", b"----"), "broken_pem", id="four dashes"),
        pytest.param(MADE.pem.replace(b"END CERT", b"END TRUSTED CERT"), "broken_pem", id="labels differ"),
        pytest.param(LINES[0] + b"MII!" + b"".join(LINES[1:]), "broken_pem", id="not base64"),
        pytest.param(LINES[0] + b"M" + b"".join(LINES[1:]), "broken_pem", id="one character too many"),
        pytest.param(LINES[0] + b"MIJ=\n" + LINES[-1], "broken_pem", id="unused bits that are not zero"),
        pytest.param(LINES[0] + LINES[-1], "broken_pem", id="nothing between BEGIN and END"),
        pytest.param(MADE.pem + _armoured("X509 CRL", b"0"), "other_pem_block", id="another block after it"),
        pytest.param(_armoured("TRUSTED CERTIFICATE", MADE.der), "other_pem_block", id="OpenSSL's trusted form"),
        pytest.param(_request().public_bytes(Encoding.PEM), "other_pem_block", id="request in PEM"),
        pytest.param(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "other_pem_block",
                     id="public key in PEM"),
        pytest.param(b"certificate", "not_a_certificate", id="text"),
        pytest.param(b"0", "not_a_certificate", id="one character"),
        pytest.param(b"0\n" * 9, "not_a_certificate", id="text that begins like DER"),
        pytest.param(bytes(range(256)), "not_a_certificate", id="bytes"),
        pytest.param(b"\x30\x81\x80" + bytes(128), "not_a_certificate", id="DER of something"),
        pytest.param(pkcs7.serialize_certificates([MADE.certificate], Encoding.DER), "not_a_certificate", id="PKCS #7"),
        pytest.param(_request().public_bytes(Encoding.DER), "not_a_certificate", id="request"),
        pytest.param(_revocations().public_bytes(Encoding.DER), "not_a_certificate", id="revocation list"),
        pytest.param(rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                     "not_a_certificate", id="public key"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_reason(data: bytes, code: str) -> None:
    assert _code(data) == code


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (_request().public_bytes(Encoding.DER), "signing request"),
        (_revocations().public_bytes(Encoding.DER), "revocation list"),
        (rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (pkcs7.serialize_certificates([MADE.certificate], Encoding.DER), "PKCS #7"),
    ],
)
def test_uploader_is_told_what_the_file_is_instead(data: bytes, word: str) -> None:
    assert word in _refusal(data).detail


def test_each_code_has_one_sentence_that_says_what_to_do() -> None:
    assert len(set(pem.REASONS.values())) == len(pem.REASONS)
    assert all("upload" in detail.lower() or "openssl" in detail or "copy" in detail for detail in pem.REASONS.values())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'"kty"' * 50_000, id="JWK"),
        pytest.param(b"<RSAKeyValue>" * 20_000, id="XML"),
        pytest.param(b"BEGIN" * 50_000, id="BEGIN"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\n" + b"\n" * 60_000 + b"!\n-----END CERTIFICATE-----", id="lines"),
        pytest.param(b"-----BEGIN " * 5_000, id="labels"),
        pytest.param(b"\x30\x03\x02\x01\x00\x02" * 40_000, id="versions"),
        pytest.param(b"\n" * 250_000, id="line breaks"),
        pytest.param(b"A" * 250_000, id="base64"),
        pytest.param(b"\x30\x82\xff\xf0" + b"\x30\x80" * 32_000, id="nesting"),
        pytest.param(b"\x30\x82\xff\x00" + b"\x02\x00" * 32_640, id="many elements"),
    ],
)
def test_reading_takes_time_in_proportion_to_the_size(data: bytes) -> None:
    begun = time.process_time()

    _refusal(data)

    assert time.process_time() - begun < 1


def _mutations() -> Iterator[st.SearchStrategy[bytes]]:
    seeds = st.sampled_from([MADE.pem, MADE.der, MADE.key_pem, MADE.pem + MADE.key_pem])
    piece = st.binary(max_size=8) | st.sampled_from([b"\n", b"-----", b"-----BEGIN CERTIFICATE-----\n", b":", b"\0"])
    place = st.floats(0, 1)
    yield st.builds(lambda s, p, x: s[: int(p * len(s))] + x + s[int(p * len(s)) :], seeds, place, piece)
    yield st.builds(lambda s, p, x: s[: int(p * len(s))] + x + s[int(p * len(s)) + len(x) :], seeds, place, piece)
    yield st.builds(lambda s, p: s[: int(p * len(s))], seeds, place)
    yield st.binary(max_size=400)
    yield st.binary(max_size=400).map(lambda data: _armoured("CERTIFICATE", data))


def _judge(data: bytes) -> None:
    """The whole way from bytes to a verdict; raises nothing but `Rejected`."""
    certificate = Certificate.parse(pem.only_certificate(data))
    Policy(allow_v1=True).check(
        certificate, endpoint=Endpoint.parse("https://backend.example"), at=datetime(2026, 1, 1, tzinfo=UTC), ca=True
    )


@given(st.one_of(*_mutations()))
def test_any_bytes_are_one_certificate_or_refused(data: bytes) -> None:
    try:
        der = pem.only_certificate(data)
    except Rejected:
        return

    assert pem.only_certificate(der) == der
    assert base64.b64encode(der) in data.translate(None, b" \t\r\n") or der == data


@given(st.one_of(*_mutations()))
def test_any_bytes_come_to_a_verdict(data: bytes) -> None:
    with suppress(Rejected):
        _judge(data)


@given(st.sampled_from(FORMS), st.integers(0, 3), st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_a_key_is_found_at_any_alignment(form: str, shift: int, before: bytes, after: bytes) -> None:
    text = b"A" * shift + base64.b64encode(_keys()[form])

    assert _code(before + b"\xff" + text + b"\xff" + after) == "private_key"


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_every_x509_file_of_the_vectors_comes_to_a_verdict() -> None:
    accepted = 0
    for file in sorted((VECTORS / "x509").rglob("*")):
        if file.is_file():
            try:
                _judge(file.read_bytes())
            except Rejected:
                continue
            accepted += 1

    assert accepted > 100


@pytest.mark.parametrize("folder", ["PKCS8", "DER_Serialization", "Traditional_OpenSSL_Serialization", "OpenSSH"])
def test_every_private_key_of_the_vectors_is_found(folder: str) -> None:
    files = [file for file in (VECTORS / "asymmetric" / folder).rglob("*") if file.is_file()]
    keys = [file for file in files if not {".pub", ".sh"} & set(file.suffixes) and "public" not in file.name]

    missed = [file.name for file in keys if "pub." not in file.name and _code(file.read_bytes()) != "private_key"]

    assert [name for name in missed if not name.endswith(("_pub.der", ".txt"))] == []


def test_private_key_hidden_in_an_extension_is_refused() -> None:
    key = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    hidden = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), key)

    assert _code(self_signed(extensions=[(hidden, False)]).pem) == "private_key"
