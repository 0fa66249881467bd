"""Of PKCS #7 the certificates are taken, and nothing else is let in with them."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from tests.certificates import authority, issued
from tests.tools import missing
from trustcast.domain import certificate_file
from trustcast.domain import pkcs7 as reader
from trustcast.domain.errors import Rejected

ROOT = authority("Root")
BETWEEN = issued(ROOT, "between", ca=True)
LEAF = issued(BETWEEN)
CHAIN = [ROOT.der, BETWEEN.der, LEAF.der]

DATA = bytes.fromhex("06092a864886f70d010701")
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
SEQUENCE, SET, CONTEXT_0, CONTEXT_1 = 0x30, 0x31, 0xA0, 0xA1
VECTORS = Path(str(cryptography_vectors.__file__)).parent / "pkcs7"


def _made(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes([tag, 0x83]) + len(body).to_bytes(3) + body


def _open(tag: int, *content: bytes) -> bytes:
    """With an indefinite length (X.690, 8.1.3.6)."""
    return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"


def _pkcs7(
    *certificates: bytes,
    kind: bytes = SIGNED_DATA,
    version: bytes = b"\x02\x01\x01",
    digests: bytes = b"",
    content: bytes = DATA,
    behind: bytes = b"",
    signers: bytes = b"",
) -> bytes:
    signed = [version, _made(SET, digests), _made(SEQUENCE, content), _made(CONTEXT_0, *certificates), behind]
    return _made(SEQUENCE, kind, _made(CONTEXT_0, _made(SEQUENCE, *signed, _made(SET, signers))))


def _code(data: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        certificate_file.read(data)
    assert refused.value.field == "certificate"
    return refused.value.code


def _openssl(folder: Path, *arguments: str) -> bytes:
    path = shutil.which("openssl") or missing("openssl is not on PATH")
    return subprocess.run([path, *arguments], cwd=folder, capture_output=True, check=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a chain in a file, and the CA's revocation list."""
    (tmp_path / "chain.pem").write_bytes(ROOT.pem + BETWEEN.pem + LEAF.pem)
    (tmp_path / "leaf.pem").write_bytes(LEAF.pem)
    (tmp_path / "key.pem").write_bytes(LEAF.key_pem)
    day = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(BETWEEN.certificate.subject)
    revoked = builder.last_update(day).next_update(day).sign(BETWEEN.key, hashes.SHA256())
    (tmp_path / "list.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
    return tmp_path


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_what_openssl_writes_is_read(folder: Path, form: str) -> None:
    written = _openssl(folder, "crl2pkcs7", "-nocrl", "-certfile", "chain.pem", "-outform", form)

    assert certificate_file.read(written) == certificate_file.Chosen(LEAF.der, (BETWEEN.der, ROOT.der))


def test_revocation_lists_are_left_aside(folder: Path) -> None:
    written = _openssl(folder, "crl2pkcs7", "-in", "list.pem", "-certfile", "chain.pem", "-outform", "DER")

    assert reader.certificates(written, at_most=20) == CHAIN


def test_revocation_list_alone_is_refused(folder: Path) -> None:
    assert _code(_openssl(folder, "crl2pkcs7", "-in", "list.pem")) == "pkcs7_without_certificates"


def test_no_certificates_at_all_are_refused(folder: Path) -> None:
    assert _code(_openssl(folder, "crl2pkcs7", "-nocrl")) == "pkcs7_without_certificates"


def test_signed_message_is_refused_although_it_has_a_certificate(folder: Path) -> None:
    sign = ("smime", "-sign", "-in", "leaf.pem", "-signer", "leaf.pem", "-inkey", "key.pem")

    assert _code(_openssl(folder, *sign, "-outform", "DER", "-nodetach")) == "pkcs7_signed"
    assert _code(_openssl(folder, *sign, "-outform", "PEM")) == "pkcs7_signed"


def test_what_macos_writes_in_ber_holds_the_same_as_written_again_in_der(folder: Path) -> None:
    (folder / "from_macos.p7b").write_bytes((VECTORS / "amazon-roots.p7b").read_bytes())
    written = _openssl(folder, "pkcs7", "-inform", "DER", "-in", "from_macos.p7b", "-outform", "DER")

    found = reader.certificates((folder / "from_macos.p7b").read_bytes(), at_most=20)
    assert len(found) == 2
    assert found == reader.certificates(written, at_most=20)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_what_cryptography_writes_is_read(encoding: Encoding) -> None:
    written = pkcs7.serialize_certificates([LEAF.certificate, ROOT.certificate, BETWEEN.certificate], encoding)

    assert certificate_file.read(written).certificate == LEAF.der


def test_label_of_a_certificate_does_not_hide_it() -> None:
    written = pkcs7.serialize_certificates([LEAF.certificate, BETWEEN.certificate], Encoding.PEM)

    assert certificate_file.read(written.replace(b"PKCS7", b"CERTIFICATE")).certificate == LEAF.der
    assert certificate_file.read(written.replace(b"PKCS7", b"CMS")).certificate == LEAF.der


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("amazon-roots.der", "chain_unrelated"),
        ("amazon-roots.p7b", "chain_unrelated"),
        ("ascii-san.pem", None),
        ("authenticode.der", "pkcs7_signed"),
        ("enveloped-no-content.der", "pkcs7_without_certificates"),
        ("enveloped-rsa-oaep.pem", "pkcs7_without_certificates"),
        ("enveloped-triple-des.pem", "pkcs7_without_certificates"),
        ("enveloped.pem", "pkcs7_without_certificates"),
        ("isrg.pem", None),
        ("non-ascii-san.pem", None),
    ],
)
def test_each_vector_of_cryptography_has_its_verdict(name: str, verdict: str | None) -> None:
    data = (VECTORS / name).read_bytes()

    if verdict is None:
        assert certificate_file.read(data).chain == ()
    else:
        assert _code(data) == verdict


def test_every_vector_has_been_looked_at() -> None:
    assert len(list(VECTORS.iterdir())) == 10


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_pkcs7(*CHAIN), id="plain"),
        pytest.param(_pkcs7(*CHAIN, version=b"\x02\x01\x03"), id="version 3"),
        pytest.param(_pkcs7(*CHAIN, digests=b"\x30\x00" * 3), id="digests of nothing"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _made(CONTEXT_0, b"\x04\x00")), id="content of no bytes"),
        pytest.param(_pkcs7(*CHAIN, behind=_made(CONTEXT_1, b"whatever")), id="revocation lists"),
    ],
)
def test_certificates_come_in_their_order(data: bytes) -> None:
    assert reader.is_pkcs7(data)
    assert reader.certificates(data, at_most=20) == CHAIN


def test_no_more_certificates_are_taken_out_than_asked_for() -> None:
    assert reader.certificates(_pkcs7(*CHAIN), at_most=2) == CHAIN[:2]
    assert _code(_pkcs7(*[authority(str(number)).der for number in range(21)])) == "too_many_certificates"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(_pkcs7(*CHAIN, kind=DATA), "pkcs7_without_certificates", id="data"),
        pytest.param(_pkcs7(*CHAIN, kind=DATA[:-1] + b"\x06"), "pkcs7_without_certificates", id="encrypted data"),
        pytest.param(_pkcs7(), "pkcs7_without_certificates", id="no certificate"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA, b"\0" * 130), "pkcs7_broken", id="zeros"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA), "pkcs7_without_certificates", id="nothing signed"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA, *[_made(CONTEXT_0, _made(SEQUENCE, b"\x02\x01\x01"))] * 2),
                     "pkcs7_broken", id="signed twice"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA, _made(CONTEXT_0, *[_made(SEQUENCE, b"\x02\x01\x01")] * 2)),
                     "pkcs7_broken", id="two in one"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA, _made(CONTEXT_0) + bytes(130)), "pkcs7_broken", id="nothing in it"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _made(CONTEXT_0, b"\x04\x00") * 2), "pkcs7_signed",
                     id="two contents of no bytes"),
        pytest.param(_pkcs7(*CHAIN, signers=b"\x30\x00"), "pkcs7_signed", id="a signer"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _made(CONTEXT_0, b"\x04\x01a")), "pkcs7_signed", id="content"),
        pytest.param(_pkcs7(*CHAIN, content=SIGNED_DATA), "pkcs7_signed", id="content of another kind"),
        pytest.param(_pkcs7(_pkcs7(*CHAIN)), "pkcs7_other_certificate", id="PKCS #7 in PKCS #7"),
        pytest.param(_pkcs7(*CHAIN, content=SIGNED_DATA + _made(CONTEXT_0, _pkcs7(*CHAIN))), "pkcs7_signed",
                     id="PKCS #7 as the content"),
        pytest.param(_pkcs7(LEAF.der, _made(0xA1, b"\x02\x01\x01")), "pkcs7_other_certificate",
                     id="attribute certificate"),
        pytest.param(_pkcs7(LEAF.der, b"\x04\x01a"), "pkcs7_other_certificate", id="octets"),
        pytest.param(_pkcs7(LEAF.der, b"\x30\x00"), "pkcs7_other_certificate", id="empty sequence"),
        pytest.param(_pkcs7(LEAF.der[:-1]), "pkcs7_broken", id="cut off inside"),
        pytest.param(_pkcs7(LEAF.der + b"\0"), "pkcs7_broken", id="a byte more inside"),
        pytest.param(_pkcs7(*CHAIN)[:-1], "certificate_truncated", id="cut off"),
        pytest.param(_pkcs7(*CHAIN) + b"\0", "trailing_bytes", id="a byte more"),
        pytest.param(_pkcs7(*CHAIN) + LEAF.der, "several_certificates", id="a certificate behind it"),
        pytest.param(_pkcs7(*CHAIN, version=b"\x04\x01\x01"), "pkcs7_broken", id="no version"),
        pytest.param(_pkcs7(*CHAIN, version=b""), "pkcs7_broken", id="version missing"),
        pytest.param(_pkcs7(*CHAIN, behind=_made(CONTEXT_0, LEAF.der)), "pkcs7_broken", id="certificates twice"),
        pytest.param(_pkcs7(*CHAIN, behind=_made(CONTEXT_1) * 2), "pkcs7_broken", id="revocation lists twice"),
        pytest.param(_pkcs7(*CHAIN, behind=_made(CONTEXT_1) * 3), "pkcs7_broken", id="too many fields"),
        pytest.param(_pkcs7(*CHAIN, behind=_made(CONTEXT_1) + _made(SET)), "pkcs7_broken", id="signers twice"),
        pytest.param(_pkcs7(*CHAIN, version=b"\x01\x01\x01"), "pkcs7_broken", id="truth value for a version"),
        pytest.param(_pkcs7(*CHAIN, content=DATA[:-1] + b"\0"), "pkcs7_signed", id="content of no known kind"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _made(CONTEXT_1, b"\x04\x00")), "pkcs7_broken",
                     id="content in another wrapping"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _made(SEQUENCE, b"\x04\x00")), "pkcs7_broken",
                     id="content in a sequence"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + b"\x04\x00"), "pkcs7_broken", id="content that is not wrapped"),
        pytest.param(_pkcs7(*CHAIN, content=b""), "pkcs7_broken", id="no kind of content"),
        pytest.param(_made(SEQUENCE, SIGNED_DATA, _made(CONTEXT_0, _open(SEQUENCE, LEAF.der))), "pkcs7_broken",
                     id="indefinite length of something else"),
        pytest.param(_pkcs7(LEAF.der, _open(SEQUENCE, LEAF.der[4:])), "indefinite_length", id="certificate in BER"),
        pytest.param(_open(SEQUENCE, LEAF.der[4:]), "indefinite_length", id="only a certificate in BER"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, _open(CONTEXT_0)), "pkcs7_broken", id="nothing in it in BER"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, _open(CONTEXT_0)) + b"\0", "trailing_bytes", id="a byte behind BER"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, b"\x04\x80\0\0"), "indefinite_length", id="primitive in BER"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, _open(CONTEXT_0, LEAF.der))[:-2], "certificate_truncated",
                     id="cut off in BER"),
        pytest.param(_pkcs7(*CHAIN, content=DATA + _open(CONTEXT_0, _open(0x24, b"\x04\x01a"))), "pkcs7_signed",
                     id="content in parts"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_reason(data: bytes, code: str) -> None:
    assert _code(data) == code


def test_other_structures_are_no_pkcs7() -> None:
    assert not reader.is_pkcs7(LEAF.der)
    assert not reader.is_pkcs7(_made(SEQUENCE, bytes.fromhex("06032a0304")))
    assert not reader.is_pkcs7(b"\x30\x80" + LEAF.der)
    for other in (
        "05092a864886f70d010702",
        "07092a864886f70d010702",
        "06092a864886f70d010602",
        "06092a864886f70d010802",
    ):
        assert not reader.is_pkcs7(_made(SEQUENCE, bytes.fromhex(other)))
    assert not reader.is_pkcs7(b"\x30")


@pytest.mark.parametrize("other", [b"\x04\x01a", b"\xa1\x01a"])
def test_only_sequences_are_taken_for_certificates(other: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        reader.certificates(_pkcs7(LEAF.der, other), at_most=20)

    assert refused.value.code == "pkcs7_other_certificate"


def test_each_code_has_one_sentence_that_says_what_to_do() -> None:
    assert len(set(reader.REASONS.values())) == len(reader.REASONS)
    assert all("upload" in detail for detail in reader.REASONS.values())


# What PKCS #7 is made of, in any order: hypothesis finds the shapes that nobody thought of.
PIECES = [SIGNED_DATA, DATA, LEAF.der, b"\x02\x01\x01", b"\x04\x00", b"\x30\x80", b"\x05\x00", b""]
SHAPES = st.recursive(
    st.sampled_from(PIECES),
    lambda inner: st.builds(
        lambda tag, parts: _made(tag, *parts), st.sampled_from([SEQUENCE, SET, CONTEXT_0, CONTEXT_1]), st.lists(inner)
    ),
)


@given(st.lists(SHAPES, max_size=3), st.lists(SHAPES, max_size=6), st.lists(SHAPES, max_size=4))
def test_any_shape_is_read_or_refused(outer: list[bytes], inner: list[bytes], innermost: list[bytes]) -> None:
    signed = _made(SEQUENCE, *inner, _made(SEQUENCE, DATA, *innermost), _made(CONTEXT_0, LEAF.der), _made(SET))

    for data in (_made(SEQUENCE, SIGNED_DATA, *outer), _made(SEQUENCE, SIGNED_DATA, _made(CONTEXT_0, signed), *outer)):
        with suppress(Rejected):
            assert certificate_file.read(data) == certificate_file.Chosen(LEAF.der)


def _in_ber(*indefinite: bool) -> bytes:
    """The chain with no content, as macOS writes it; each of the nine levels in BER or not."""
    outer, explicit, signed, digests, encapsulated, content, octets, field, signers = (
        _open if each else _made for each in indefinite
    )
    inner = encapsulated(SEQUENCE, DATA, content(CONTEXT_0, octets(0x24)))
    fields = [b"\x02\x01\x01", digests(SET), inner, field(CONTEXT_0, *CHAIN), signers(SET)]
    return outer(SEQUENCE, SIGNED_DATA, explicit(CONTEXT_0, signed(SEQUENCE, *fields)))


LEVELS = st.tuples(*[st.booleans()] * 9)


@given(LEVELS)
def test_levels_in_ber_change_nothing_of_what_is_read(indefinite: tuple[bool, ...]) -> None:
    data = _in_ber(*indefinite)

    assert certificate_file.read(data) == certificate_file.Chosen(LEAF.der, (BETWEEN.der, ROOT.der))


@given(LEVELS, st.data())
def test_damage_in_ber_is_read_or_refused(indefinite: tuple[bool, ...], data: st.DataObject) -> None:
    file = bytearray(_in_ber(*indefinite))
    for _ in range(data.draw(st.integers(1, 3))):
        place, octet = data.draw(st.integers(0, len(file) - 1)), st.sampled_from([0, 0x30, 0x80, 0x24, 0xA0, 0xFF])
        file[place : place + data.draw(st.integers(0, 2))] = bytes(data.draw(st.lists(octet, max_size=3)))

    with suppress(Rejected):
        chosen = certificate_file.read(bytes(file))
        assert all(one in file for one in (chosen.certificate, *chosen.chain))


def test_pem_may_hold_ber() -> None:
    text = base64.encodebytes(_in_ber(*[True] * 9))

    read = certificate_file.read(b"-----BEGIN PKCS7-----\n" + text + b"-----END PKCS7-----\n")
    assert read.certificate == LEAF.der


def test_key_in_ber_is_no_more_hidden_than_in_der() -> None:
    """Where revocation lists stand, of which nothing is read."""
    algorithm, key = bytes.fromhex("06032b6570"), b"\x04\x20" + bytes(range(32))
    keys = [
        tag_of(SEQUENCE, b"\x02\x01\x00", inner(SEQUENCE, algorithm), octets)
        for tag_of in (_made, _open)
        for inner in (_made, _open)
        for octets in (_made(0x04, key), _open(0x24, _made(0x04, key)))
    ]
    keys += [_open(SEQUENCE, b"\x02\x01\x01", octets) for octets in (key, _open(0x24, key), b"\x24\x22" + key)]

    found = {_code(_pkcs7(*CHAIN, behind=wrap(CONTEXT_1, one))) for one in keys for wrap in (_made, _open)}
    assert found == {"private_key"}


def _nested(layers: int) -> bytes:
    data = LEAF.der
    for _ in range(layers):
        data = _pkcs7(data)
    return data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_nested(2000), id="nesting"),
        pytest.param(_pkcs7(b"\x30\x00" * 120_000), id="empty certificates"),
        pytest.param(_pkcs7(LEAF.der, digests=b"\x05\x00" * 120_000, signers=b"\0"), id="digests"),
        pytest.param(_pkcs7(LEAF.der, behind=b"\x05\x00" * 120_000), id="fields"),
        pytest.param(_pkcs7(LEAF.der, content=b"\x05\x00" * 120_000), id="contents"),
        pytest.param(_pkcs7(LEAF.der, signers=b"\x30\x00" * 120_000), id="signers"),
        pytest.param(b"\x30\x80" * 131_072, id="indefinite lengths"),
        pytest.param(b"\x30\x80" + SIGNED_DATA + b"\xa0\x80\x30\x80" * 65_000, id="of PKCS #7"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, b"\x05\x00" * 120_000), id="elements in BER"),
        pytest.param(_open(SEQUENCE, SIGNED_DATA, b"\xa0\x80\0\0" * 60_000), id="levels in BER"),
        pytest.param(
            _open(SEQUENCE, SIGNED_DATA, _open(CONTEXT_0, _open(SEQUENCE, *[_open(SET, *[b"\x05\0"] * 100)] * 9))),
            id="all that is read in BER",
        ),
        pytest.param((b"\x30\x80\x02\x01\0\x30\x80" + b"\x05\0" * 1200) * 108, id="what begins like keys in BER"),
    ],
)
def test_reading_takes_time_in_proportion_to_the_size(data: bytes) -> None:
    begun = time.process_time()

    _code(data)

    assert time.process_time() - begun < 0.5  # 0.01 where nothing disturbs
