"""A file is one certificate with its chain, or refused; a private key is refused first, wherever it stands."""

from __future__ import annotations

import base64
import shutil
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from tests.certificates import authority, ec_key, issued, rsa_key, self_signed
from tests.tools import java_tool, missing
from trustcast.domain import certificate_file, pem
from trustcast.domain.certificate import Certificate
from trustcast.domain.certificate_file import Anchor, Chosen, check_outline, read
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Policy

MADE = self_signed()
ROOT = authority("Root")
BETWEEN = issued(ROOT, "between", ca=True)
LEAF = issued(BETWEEN)
CHAIN = LEAF.pem + BETWEEN.pem + ROOT.pem
VECTORS = Path(str(cryptography_vectors.__file__)).parent


def _refusal(data: bytes, anchor: Anchor = Anchor.LEAF) -> Rejected:
    with pytest.raises(Rejected) as refused:
        read(data, anchor=anchor)
    assert refused.value.field == "certificate"
    return refused.value


def _code(data: bytes, anchor: Anchor = Anchor.LEAF) -> str:
    return _refusal(data, anchor).code


def _armoured(label: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MADE.pem, id="PEM"),
        pytest.param(MADE.der, id="DER"),
        pytest.param(MADE.pem.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\r\n \n" + MADE.pem + b"\r\n\t \n", id="white space around"),
        pytest.param(b"\n" * 100_000 + MADE.pem, id="much white space around"),
        pytest.param(MADE.pem.rstrip(), id="no line break at the end"),
        pytest.param(MADE.pem * 3, id="the same three times"),
        pytest.param(pkcs7.serialize_certificates([MADE.certificate] * 2, Encoding.DER), id="twice in PKCS #7"),
    ],
)
@pytest.mark.parametrize("anchor", Anchor)
def test_one_certificate_is_taken(data: bytes, anchor: Anchor) -> None:
    assert read(data, anchor=anchor) == Chosen(MADE.der, ())


def test_of_a_chain_in_any_order_the_leaf_is_taken_and_the_rest_goes_upwards() -> None:
    for order in permutations([LEAF.pem, BETWEEN.pem, ROOT.pem]):
        assert read(b"".join(order)) == Chosen(LEAF.der, (BETWEEN.der, ROOT.der))


def test_of_a_chain_in_any_order_the_top_is_taken_where_a_ca_is_meant() -> None:
    for order in permutations([LEAF.pem, BETWEEN.pem, ROOT.pem]):
        assert read(b"".join(order), anchor=Anchor.CA) == Chosen(ROOT.der, (LEAF.der, BETWEEN.der))


def test_top_of_a_chain_without_its_root_is_the_highest_that_is_there() -> None:
    assert read(LEAF.pem + BETWEEN.pem, anchor=Anchor.CA) == Chosen(BETWEEN.der, (LEAF.der,))


def test_certificate_that_is_twice_in_a_chain_counts_once() -> None:
    assert read(CHAIN + LEAF.pem + ROOT.pem) == Chosen(LEAF.der, (BETWEEN.der, ROOT.der))


def test_blocks_of_different_kinds_are_one_chain() -> None:
    rest = pkcs7.serialize_certificates([ROOT.certificate, BETWEEN.certificate], Encoding.PEM)

    assert read(LEAF.pem + rest) == Chosen(LEAF.der, (BETWEEN.der, ROOT.der))


def test_chain_of_twenty_is_taken_and_one_of_twenty_one_is_not() -> None:
    links = [authority("Root")]
    while len(links) < 21:
        links.append(issued(links[-1], f"number {len(links)}", ca=True))
    top, *below = [each.pem for each in links]

    assert len(read(b"".join([top, *below[:19]])).chain) == 19
    assert _code(b"".join([top, *below])) == "too_many_certificates"
    many = [each.certificate for each in links]
    assert _code(pkcs7.serialize_certificates(many, Encoding.DER)) == "too_many_certificates"
    halves = [pkcs7.serialize_certificates(half, Encoding.PEM) for half in (many[:11], many[11:])]
    assert _code(b"".join(halves)) == "too_many_certificates"


def test_what_keytool_writes_of_a_chain_is_read(tmp_path: Path) -> None:
    keytool, openssl = java_tool("keytool"), shutil.which("openssl") or missing("openssl is not on PATH")
    (tmp_path / "chain.pem").write_bytes(CHAIN)
    (tmp_path / "key.pem").write_bytes(LEAF.key_pem)
    store = "pkcs12 -export -in chain.pem -inkey key.pem -name it -passout pass:secret -out store.p12"
    subprocess.run([openssl, *store.split()], cwd=tmp_path, check=True, capture_output=True)
    export = "-exportcert -rfc -alias it -keystore store.p12 -storepass secret"
    exported = subprocess.run([keytool, *export.split()], cwd=tmp_path, check=True, capture_output=True).stdout

    assert read(exported) == Chosen(LEAF.der)


def _request() -> x509.CertificateSigningRequest:
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(ec_key(), hashes.SHA256())


def _revocations() -> x509.CertificateRevocationList:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(MADE.certificate.subject)
    return builder.last_update(day).next_update(day).sign(MADE.key, hashes.SHA256())


LARGE = self_signed(
    extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"a" * 65_000), False)]
)
TOO_LARGE = self_signed(
    extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"a" * 65_536), False)]
)
PUBLIC = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
LINES = MADE.pem.splitlines(keepends=True)

REFUSED = {
    "empty": (b"", "certificate_empty"),
    "only white space": (b" \r\n\t", "certificate_empty"),
    "too large a file": (MADE.pem + b"\n" * 256 * 1024, "certificate_too_large"),
    "too large a certificate": (TOO_LARGE.der, "certificate_too_large"),
    "too large a certificate in PEM": (TOO_LARGE.pem, "certificate_too_large"),
    "too large a certificate in a chain": (MADE.pem + TOO_LARGE.pem, "certificate_too_large"),
    "too large a certificate in PKCS #7": (
        pkcs7.serialize_certificates([TOO_LARGE.certificate], Encoding.DER),
        "certificate_too_large",
    ),
    "UTF-8 mark": (b"\xef\xbb\xbf" + MADE.pem, "byte_order_mark"),
    "UTF-16": (MADE.pem.decode().encode("utf-16"), "byte_order_mark"),
    "UTF-16 without a mark": (MADE.pem.decode().encode("utf-16-le"), "not_a_certificate"),
    "two in DER": (MADE.der * 2, "several_certificates"),
    "two in one block": (_armoured("CERTIFICATE", MADE.der * 2), "several_certificates"),
    "21 blocks": (MADE.pem * 21, "too_many_certificates"),
    "text between": (LEAF.pem + b"issuer:\n" + BETWEEN.pem, "text_around_certificate"),
    "headers": (LINES[0] + b"a: b\n\n" + b"".join(LINES[1:]), "pem_headers"),
    "line break after DER": (MADE.der + b"\n", "trailing_bytes"),
    "byte after DER in PEM": (_armoured("CERTIFICATE", MADE.der + b"\0"), "trailing_bytes"),
    "cut-off DER": (MADE.der[:-1], "certificate_truncated"),
    "hardly any DER": (MADE.der[:3], "certificate_truncated"),
    "cut-off DER in PEM": (_armoured("CERTIFICATE", MADE.der[:-9]), "certificate_truncated"),
    "one byte in PEM": (_armoured("CERTIFICATE", b"0"), "certificate_truncated"),
    "indefinite length": (b"\x30\x80" + MADE.der[4:] + b"\0\0", "indefinite_length"),
    "no END": (b"".join(LINES[:-1]), "broken_pem"),
    "damaged chain": (LEAF.pem + BETWEEN.pem.replace(b"-----END", b"----END"), "broken_pem"),
    "another block": (MADE.pem + _armoured("X509 CRL", b"0"), "other_pem_block"),
    "request in PEM": (_request().public_bytes(Encoding.PEM), "other_pem_block"),
    "public key in PEM": (_armoured("PUBLIC KEY", PUBLIC), "other_pem_block"),
    "text": (b"certificate", "not_a_certificate"),
    "one character": (b"0", "not_a_certificate"),
    "name of a file": (b"pay.pem", "not_a_certificate"),
    "text that begins like DER": (b"0\n" * 9, "not_a_certificate"),
    "bytes": (bytes(range(256)), "not_a_certificate"),
    "octets in PEM": (_armoured("CERTIFICATE", b"\x04\x01a"), "not_a_certificate"),
    "DER of something": (b"\x30\x81\x80" + bytes(128), "not_a_certificate"),
    "request": (_request().public_bytes(Encoding.DER), "not_a_certificate"),
    "revocation list": (_revocations().public_bytes(Encoding.DER), "not_a_certificate"),
    "public key": (PUBLIC, "not_a_certificate"),
    "serial 0": (self_signed(serial=1).der.replace(b"\x02\x01\x01\x30", b"\x02\x01\x00\x30", 1), "serial_invalid"),
    "unsound one in a chain": (
        LEAF.pem + _armoured("CERTIFICATE", BETWEEN.der.replace(b"\x17\x0d", b"\x17\x0c", 1)),
        "certificate_unreadable",
    ),
    "unrelated": (MADE.pem + LEAF.pem, "chain_unrelated"),
    "unrelated in PKCS #7": (
        pkcs7.serialize_certificates([MADE.certificate, LEAF.certificate], Encoding.DER),
        "chain_unrelated",
    ),
    "missing link": (LEAF.pem + ROOT.pem, "chain_unrelated"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("anchor", Anchor)
def test_anything_else_is_refused_with_its_reason(name: str, anchor: Anchor) -> None:
    data, code = REFUSED[name]

    assert _code(data, anchor) == code


@pytest.mark.parametrize("name", REFUSED)
def test_private_key_is_refused_before_anything_else(name: str) -> None:
    data, _ = REFUSED[name]

    assert _code(data + b"\n" + MADE.key_pem) == "private_key"
    assert _code(MADE.key_pem + data) == "private_key"


def test_certificate_of_just_less_than_64_kb_is_taken() -> None:
    assert 65_000 < len(LARGE.der) < certificate_file.MAX_BYTES
    assert read(LARGE.pem).certificate == LARGE.der


def test_two_tops_are_refused_only_where_a_ca_is_meant() -> None:
    other = authority("Other")
    crossed = issued(other, "Root", ca=True, key=ROOT.key)
    data = CHAIN + crossed.pem + other.pem

    assert read(data).certificate == LEAF.der
    assert _code(data, Anchor.CA) == "chain_ambiguous"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (_request().public_bytes(Encoding.DER), "signing request"),
        (_revocations().public_bytes(Encoding.DER), "revocation list"),
        (PUBLIC, "public key"),
    ],
)
def test_uploader_is_told_what_the_file_is_instead(data: bytes, word: str) -> None:
    assert word in _refusal(data).detail


def test_each_code_has_one_sentence_that_says_what_to_do() -> None:
    reasons = certificate_file.REASONS

    assert len(set(reasons.values())) == len(reasons)
    assert all("upload" in detail.lower() or "openssl" in detail or "copy" in detail for detail in reasons.values())


def test_outline_of_a_certificate_is_exactly_one() -> None:
    check_outline(MADE.der)

    for other in (b"", MADE.pem, MADE.der + b"\0", MADE.der[:-1], PUBLIC, TOO_LARGE.der):
        with pytest.raises(Rejected):
            check_outline(other)


SIZE = 256 * 1024
HEAD = b"\x30\x83\x03\xff\xf0"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((b"-----BEGIN CERTIFICATE-----\n" * 100_000)[:SIZE], id="100,000 blocks"),
        pytest.param((b"-----BEGIN " * 100_000)[:SIZE], id="labels"),
        pytest.param((b"-----BEGIN CERTIFICATE-----\n" + b"A" * 13_000) * 20, id="20 long blocks"),
        pytest.param((b"-----BEGIN " + b"A" * 13_000) * 20, id="20 long labels"),
        pytest.param(LINES[0] + b"\n" * 250_000 + b"!\n" + LINES[-1], id="lines"),
        pytest.param(LINES[0] + b"A\n" * 120_000 + LINES[-1], id="short lines"),
        pytest.param(b"\n" * SIZE, id="line breaks"),
        pytest.param(b"A" * SIZE, id="base64"),
        pytest.param(HEAD + b"\x30\x80" * 0x1FFF8, id="nesting"),
        pytest.param(HEAD + b"\x05\x00" * 0x1FFF8, id="many elements"),
        pytest.param(b"\x30\x82\xff\xf0\x30\x82\xff\xe0" + b"\x05\x00" * 0x7FF0 + bytes(12), id="many fields"),
    ],
)
def test_reading_takes_time_in_proportion_to_the_size(data: bytes) -> None:
    begun = time.process_time()

    _refusal(data)

    assert time.process_time() - begun < 0.5  # 0.02 where nothing disturbs


def _costly() -> bytes:
    """A self-issued certificate whose key has an exponent as long as its modulus: OpenSSL needs 6 ms for a check."""
    signer = rsa_key(3072)
    modulus = signer.public_key().public_numbers().n
    builder = x509.CertificateBuilder(
        subject_name=ROOT.certificate.subject,
        issuer_name=ROOT.certificate.subject,
        public_key=rsa.RSAPublicNumbers(modulus - 2, modulus).public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=ROOT.certificate.not_valid_before_utc,
        not_valid_after=ROOT.certificate.not_valid_after_utc,
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("number", [6, 20])
def test_costly_keys_under_one_name_take_no_second(number: int) -> None:
    data = b"".join(_costly() for _ in range(number))
    begun = time.process_time()

    assert _code(data).startswith("chain_")
    assert time.process_time() - begun < 1  # 0.3 where nothing disturbs


SEEDS = [
    MADE.pem,
    MADE.der,
    MADE.key_pem,
    MADE.pem + MADE.key_pem,
    CHAIN,
    pkcs7.serialize_certificates([LEAF.certificate, BETWEEN.certificate, ROOT.certificate], Encoding.DER),
    pkcs7.serialize_certificates([LEAF.certificate, BETWEEN.certificate], Encoding.PEM),
    (VECTORS / "pkcs7/amazon-roots.p7b").read_bytes(),
    (VECTORS / "pkcs7/enveloped.pem").read_bytes(),
]


def _mutations() -> Iterator[st.SearchStrategy[bytes]]:
    seeds = st.sampled_from(SEEDS)
    piece = st.binary(max_size=8) | st.sampled_from(
        [b"\n", b"-----", b"-----BEGIN CERTIFICATE-----\n", b":", b"\0", b"=", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff"]
    )
    place, near_the_start = st.floats(0, 1), st.integers(0, 60)
    yield st.builds(lambda s, p, x: s[: int(p * len(s))] + x + s[int(p * len(s)) :], seeds, place, piece)
    yield st.builds(lambda s, p, x: s[: int(p * len(s))] + x + s[int(p * len(s)) + len(x) :], seeds, place, piece)
    yield st.builds(lambda s, at, x: s[:at] + x + s[at + len(x) :], seeds, near_the_start, piece)
    yield st.builds(lambda s, p: s[: int(p * len(s))], seeds, place)
    yield st.builds(lambda s, p, q: s[int(p * len(s)) :] + s[: int(q * len(s))], seeds, place, place)
    yield st.builds(lambda s, t, p: s[: int(p * len(s))] + t, seeds, seeds, place)
    yield st.binary(max_size=400)
    yield st.binary(max_size=400).map(lambda data: _armoured("CERTIFICATE", data))
    yield st.builds(
        lambda s, at, x: _armoured("PKCS7", s[:at] + x + s[at + len(x) :]), seeds, near_the_start, st.binary(max_size=4)
    )


ANY_BYTES = st.one_of(*_mutations())


def _judge(data: bytes) -> None:
    """The whole way from bytes to a verdict; raises nothing but `Rejected`."""
    certificate = Certificate.parse(read(data).certificate)
    Policy(allow_v1=True).check(
        certificate, endpoint=Endpoint.parse("https://backend.example"), at=datetime(2026, 1, 1, tzinfo=UTC), ca=True
    )


@given(ANY_BYTES, st.sampled_from(Anchor))
def test_any_bytes_are_certificates_of_one_chain_or_refused(data: bytes, anchor: Anchor) -> None:
    try:
        chosen = read(data, anchor=anchor)
    except Rejected:
        return

    found = [chosen.certificate, *chosen.chain]
    assert [read(one).certificate for one in found] == found
    joined = b"".join(_armoured("CERTIFICATE", one) for one in reversed(found))
    assert read(joined, anchor=anchor) == chosen


@given(ANY_BYTES)
def test_each_certificate_that_is_taken_is_in_the_file_byte_for_byte(data: bytes) -> None:
    try:
        chosen = read(data)
    except Rejected:
        return

    contents = [data] if data.startswith(b"0\x82") else pem.blocks(data)
    assert all(any(one in content for content in contents) for one in (chosen.certificate, *chosen.chain))


@given(ANY_BYTES)
def test_any_bytes_come_to_a_verdict(data: bytes) -> None:
    with suppress(Rejected):
        _judge(data)


@given(st.binary(max_size=200) | st.sampled_from([one[4:] for one in SEEDS]), st.sampled_from(SEEDS))
def test_whatever_stands_around_a_certificate_is_not_overlooked(other: bytes, seed: bytes) -> None:
    if not other.strip(b" \t\r\n"):
        return

    for data in (other + seed, seed + other):
        with suppress(Rejected):
            assert len(read(data).chain) > len(read(seed).chain)


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


@pytest.mark.parametrize("name", ["pay.pem", "my certs/pay 2.CRT\n", "./trust.jks", "c:\\certs\\pay.p7b"])
def test_name_of_a_file_is_known_for_one_and_not_repeated(name: str) -> None:
    with pytest.raises(Rejected) as refused:
        certificate_file.read(name.encode())

    assert (refused.value.code, refused.value.field) == ("not_a_certificate", "certificate")
    assert "certificate=@file" in refused.value.detail
    assert name.strip() not in refused.value.detail
