"""A private key is found wherever and however it stands; of PEM there is one way to write each byte."""

from __future__ import annotations

import base64
import random
import re
import textwrap
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.certificates import ec_key, rsa_key, self_signed
from trustcast.domain import pem, private_key
from trustcast.domain.errors import Rejected

MADE = self_signed()
VECTORS = Path(str(cryptography_vectors.__file__)).parent
SECRET = BestAvailableEncryption(b"secret")
LINES = MADE.pem.splitlines(keepends=True)


def _code(data: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        pem.blocks(data)
    assert refused.value.field == "certificate"
    return refused.value.code


def _found(data: bytes) -> bool:
    return private_key.found_in(data)


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
    "as octets with colons in lines": lambda key: re.sub(rb"(.{45})", rb"    \1\r\n", key.hex(":").encode()),
    "as octets with dashes": lambda key: key.hex("-").upper().encode(),
    "as base64 in a quoted mail": lambda key: textwrap.indent(base64.encodebytes(key).decode(), "> ").encode(),
    "after a byte-order mark": lambda key: b"\xef\xbb\xbf" + key,
    "behind 100 KB": lambda key: b"\n" * 100_000 + key,
}


def test_every_form_of_key_is_tried() -> None:
    assert set(FORMS) == set(_keys())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_private_key_is_found(form: str, place: str) -> None:
    assert _found(PLACES[place](_keys()[form]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("form", [form for form in FORMS if form.endswith("PEM")])
def test_private_key_in_wide_characters_is_found(form: str, encoding: str) -> None:
    assert _found(_keys()[form].decode().encode(encoding))


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN PRIVATE KEY-----",
        b"-----begin rsa private key-----",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----",
        b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        b"begin private private_key",
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
    assert _found(data)


def test_key_store_counts_although_it_holds_only_certificates() -> None:
    store = pkcs12.serialize_key_and_certificates(None, None, None, [MADE.certificate], NoEncryption())

    assert _found(store)


def test_key_store_with_indefinite_lengths_is_found() -> None:
    assert _found(bytes.fromhex("308002010330800609 2a864886f70d010701 a080 2480") + bytes(80))


def test_key_that_is_cut_off_is_still_a_key() -> None:
    assert _found(_keys()["PKCS #8 RSA DER"][:200])


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


@settings(deadline=None)  # whoever comes first makes the keys
@given(st.sampled_from(FORMS), st.integers(0, 3), st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_a_key_is_found_at_any_alignment(form: str, shift: int, before: bytes, after: bytes) -> None:
    text = b"A" * shift + base64.b64encode(_keys()[form])

    assert _found(before + b"\xff" + text + b"\xff" + after)


@settings(deadline=None)  # whoever comes first makes the keys
@given(st.sampled_from(FORMS), st.integers(1, 3))
def test_key_that_is_shifted_within_a_block_of_a_certificate_is_found(form: str, shift: int) -> None:
    text = b"A" * shift + base64.b64encode(_keys()[form])

    assert _found(LINES[0] + text[: len(text) // 4 * 4] + b"\n" + LINES[-1])


@pytest.mark.parametrize("form", FORMS)
def test_key_is_found_among_many_certificates(form: str) -> None:
    key = _armoured("CERTIFICATE", _keys()[form])

    assert _found(MADE.pem * 19 + key)
    assert _found(MADE.pem * 9 + key + MADE.pem * 9)


@pytest.mark.parametrize("form", [form for form in FORMS if "encrypted" not in form and form.endswith("DER")])
def test_key_that_is_split_around_a_certificate_is_found(form: str) -> None:
    text = base64.encodebytes(_keys()[form])
    half = len(text) // 2

    assert _found(text[:half] + MADE.pem + text[half:])


def test_key_behind_the_padding_of_a_whole_element_is_found() -> None:
    element = base64.b64encode(b"\x30\x41" + bytes(65))
    key = base64.b64encode(_keys()["PKCS #8 EC DER"])

    assert element.endswith(b"==")
    assert _found(LINES[0] + element + b"\n" + key + b"\n" + LINES[-1])


def test_line_of_a_key_that_ends_with_its_second_field_is_found() -> None:
    version_and_algorithm = _keys()["PKCS #8 RSA DER"][:22]
    line = base64.b64encode(bytes(8) + version_and_algorithm)

    assert _found(b"> " + line + b"\n> " + b"A" * 40)


def test_certificates_are_no_keys() -> None:
    chain = b"".join(self_signed(serial=number).pem for number in range(1, 21))

    assert not _found(chain)
    assert not _found(b"\n".join(textwrap.indent(MADE.pem.decode(), "> ").encode() for _ in range(9)))


def test_so_many_lookalikes_of_keys_are_no_certificates() -> None:
    lookalike = bytes.fromhex("3041303c020101300a06082a8648ce3d040302") + b"\x30\x10"

    assert not _found(lookalike * 20)
    assert _found(lookalike * 1000)


SIZE = 256 * 1024
HOSTILE = {
    "JWK": b'"kty"',
    "XML": b"<RSAKeyValue>",
    "BEGIN": b"BEGIN",
    "BEGIN of a block": b"-----BEGIN ",
    "BEGIN private": b"beginprivate ",
    "BEGIN PRIVATE in lines": b"BEGIN\nPRIVATE KE\n",
    "tiny blocks": b"-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n",
    "certificates": MADE.pem,
    "printed names": b"priv:",
    "printed octets": b"priv:" + 15 * (b" " * 60 + b"00"),
    "octets with colons": random.Random(4).randbytes(SIZE // 3).hex(":").encode(),
    "openings": b"\x30\x82",
    "sequences": b"\x30",
    "versions": b"\x02\x01\0",
    "OIDs of ciphers": bytes.fromhex("06092a864886f70d0105"),
    "OIDs of PKCS #7": bytes.fromhex("02010330820606092a864886f70d0106"),
    "key stores' marks": b"\0\0\0\x14",
    "zeros": b"\0",
    "line breaks": b"\n",
    "base64": b"A",
    "short runs of base64": b"A" * 40 + b"!",
    "shorter runs of base64": b"A" * 39 + b"!",
    "quoted base64": b"> " + b"M" * 76 + b"\n",
    "base64 with spaces": b"A ",
    "wide characters": b"A\0",
    "wide short runs": ("A" * 40 + "!").encode("utf-16-le"),
    "random": random.Random(4).randbytes(SIZE),
    "base64 of base64 of base64": base64.b64encode(
        base64.b64encode(base64.b64encode(random.Random(4).randbytes(SIZE)))
    ),
    "hexadecimal digits": random.Random(4).randbytes(SIZE).hex().encode(),
    "wide hexadecimal digits": random.Random(4).randbytes(SIZE).hex().encode("utf-16-le"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_searching_takes_time_in_proportion_to_the_size(name: str) -> None:
    data = (HOSTILE[name] * (SIZE // len(HOSTILE[name]) + 1))[:SIZE]
    begun = time.process_time()

    assert not _found(data)
    # In base64 this is base64 of base64 at three alignments.
    assert _found(base64.b64encode(data)[:SIZE]) is (name == "quoted base64")
    assert time.process_time() - begun < 0.5  # 0.04 where nothing disturbs


def test_what_begins_like_keys_at_every_alignment_takes_no_time() -> None:
    """Found by fuzzing: behind each beginning stood as many elements as were looked at, and that in each decoding."""

    def at_every_alignment(data: bytes) -> bytes:
        return b"|".join(b"A" * shift + base64.b64encode(data).rstrip(b"=") for shift in range(4))

    beginnings = bytes.fromhex("3007 020100 3080 0500") * 99 + b"\x05\x00" * 1000
    data = at_every_alignment(at_every_alignment(beginnings))
    begun = time.process_time()

    assert not _found(data)
    assert time.process_time() - begun < 0.5  # 0.1 where nothing disturbs


@pytest.mark.parametrize("folder", ["PKCS8", "DER_Serialization", "Traditional_OpenSSL_Serialization", "OpenSSH"])
def test_every_private_key_of_the_vectors_is_found(folder: str) -> None:
    files = [file for file in (VECTORS / "asymmetric" / folder).rglob("*") if file.is_file()]
    keys = [file for file in files if not {".pub", ".sh"} & set(file.suffixes) and "public" not in file.name]

    missed = [file.name for file in keys if "pub." not in file.name and not _found(file.read_bytes())]

    assert [name for name in missed if not name.endswith(("_pub.der", ".txt"))] == []


def test_private_key_hidden_in_an_extension_is_found() -> None:
    key = ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    hidden = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), key)

    assert _found(self_signed(extensions=[(hidden, False)]).pem)


WITHIN: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 of base64": lambda key: base64.b64encode(base64.b64encode(key)),
    "UTF-16": lambda key: base64.b64encode(key).decode().encode("utf-16"),
    "base64 of UTF-16": lambda key: base64.b64encode(base64.b64encode(key).decode().encode("utf-16")),
    "UTF-16 of base64 of base64": lambda key: base64.b64encode(base64.b64encode(key)).decode().encode("utf-16"),
    "hexadecimal": lambda key: key.hex().encode(),
    "octets with spaces": lambda key: key.hex(" ").encode(),
    "base64 of octets with colons": lambda key: base64.b64encode(key.hex(":").encode()),
    "base64 of hexadecimal": lambda key: base64.b64encode(key.hex().upper().encode()),
}


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("form", FORMS)
def test_private_key_in_a_comment_is_found_in_the_certificate(form: str, within: str) -> None:
    comment = x509.ObjectIdentifier("2.16.840.1.113730.1.13")
    hidden = x509.UnrecognizedExtension(comment, b"key: " + WITHIN[within](_keys()[form]))
    made = self_signed(extensions=[(hidden, False)])

    assert _found(made.der)


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("form", FORMS)
def test_private_key_in_a_comment_is_found_in_pem(form: str, within: str) -> None:
    comment = x509.ObjectIdentifier("2.16.840.1.113730.1.13")
    hidden = x509.UnrecognizedExtension(comment, WITHIN[within](_keys()[form]))
    made = self_signed(extensions=[(hidden, False)])

    assert _found(made.pem)
    assert _found(MADE.pem + made.pem + MADE.pem)


@pytest.mark.parametrize("place", ["before the certificate", "after the certificate"])
def test_fragment_of_a_key_right_beside_a_certificate_is_found(place: str) -> None:
    fragment = base64.b64encode(_keys()["PKCS #8 RSA DER"])[:36]

    assert _found(PLACES[place](fragment))


def test_so_much_that_is_base64_however_it_is_read_is_in_no_certificate() -> None:
    assert not _found(b"V" * 250)
    assert _found(b"V" * SIZE)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MADE.pem, id="as it is"),
        pytest.param(MADE.pem.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\r\n \n" + MADE.pem + b"\r\n\t \n", id="white space around"),
        pytest.param(MADE.pem.rstrip(), id="no line break at the end"),
        pytest.param(MADE.pem.replace(b"\n", b" \n"), id="spaces at the ends of lines"),
        pytest.param(MADE.pem.replace(b"CERTIFICATE", b"PKCS7"), id="PKCS7"),
        pytest.param(MADE.pem.replace(b"CERTIFICATE", b"CMS"), id="CMS"),
        pytest.param(LINES[0] + base64.b64encode(MADE.der) + b"\n" + LINES[-1], id="one long line"),
    ],
)
def test_block_is_read(data: bytes) -> None:
    assert pem.blocks(data) == [MADE.der]


def test_blocks_come_in_their_order() -> None:
    other = self_signed()

    assert pem.blocks(MADE.pem + other.pem) == [MADE.der, other.der]
    assert pem.blocks(other.pem.rstrip() + MADE.pem) == [other.der, MADE.der]


PIECES = [
    LINES[0],
    LINES[-1],
    b"MIIB",
    b"AA==",
    b"AAA=",
    b"A",
    b"=",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b"-----",
    b"\0",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join) | st.binary(max_size=60))
def test_each_byte_of_what_is_read_can_be_written_in_one_way(data: bytes) -> None:
    try:
        found = pem.blocks(data)
    except Rejected:
        return

    text = data.translate(None, b" \t\r\n")
    assert text == b"".join(_armoured("CERTIFICATE", one) for one in found).translate(None, b" \t\r\n") or not found


def test_what_has_no_trace_of_pem_has_no_blocks() -> None:
    assert pem.blocks(b"certificate") == []
    assert pem.blocks(MADE.pem.decode().encode("utf-16-le")) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\xef\xbb\xbf" + MADE.pem, "byte_order_mark", id="UTF-8 mark"),
        pytest.param(MADE.pem.decode().encode("utf-16"), "byte_order_mark", id="UTF-16"),
        pytest.param(b"text\n" + MADE.pem, "text_around_certificate", id="text before"),
        pytest.param(MADE.pem + b"text\n", "text_around_certificate", id="text after"),
        pytest.param(MADE.pem + b"text\n" + MADE.pem, "text_around_certificate", id="text between"),
        pytest.param(MADE.pem + b"\0", "text_around_certificate", id="NUL after"),
        pytest.param(MADE.pem + b"\v", "text_around_certificate", id="vertical tab after"),
        pytest.param(MADE.pem + LINES[-1], "text_around_certificate", id="END twice"),
        pytest.param(LINES[0] + b"a: b\n\n" + b"".join(LINES[1:]), "pem_headers", id="headers"),
        pytest.param(b"".join(LINES[:-1]), "broken_pem", id="no END"),
        pytest.param(b"".join(LINES[:-1]) + MADE.pem, "broken_pem", id="no END of the first"),
        pytest.param(b"".join(LINES[1:]), "broken_pem", id="no BEGIN"),
        pytest.param(base64.b64encode(MADE.der), "broken_pem", id="bare base64"),
        pytest.param(MADE.pem.replace(b"\n", b" "), "broken_pem", id="line breaks lost"),
        pytest.param(MADE.pem.replace(b"\n", b""), "broken_pem", id="line breaks removed"),
        pytest.param(MADE.pem.replace(b"\n", b"\r"), "broken_pem", id="only carriage returns"),
        pytest.param(MADE.pem.replace(b"-----", b"----"), "broken_pem", id="four dashes"),
        pytest.param(MADE.pem.replace(b"END CERT", b"END TRUSTED CERT"), "broken_pem", id="labels differ"),
        pytest.param(MADE.pem.replace(b"END CERTIFICATE", b"END PKCS7"), "broken_pem", id="another label at the END"),
        pytest.param(LINES[0] + b"MII!" + b"".join(LINES[1:]), "broken_pem", id="not base64"),
        pytest.param(LINES[0] + b"M" + b"".join(LINES[1:]), "broken_pem", id="one character too many"),
        pytest.param(LINES[0] + b"MIJ=\n" + LINES[-1], "broken_pem", id="unused bits that are not zero"),
        pytest.param(LINES[0] + b"A0==\n" + LINES[-1], "broken_pem", id="unused bits of a digit, which sorts lower"),
        pytest.param(LINES[0].rstrip() + b"".join(LINES[1:]), "broken_pem", id="base64 in the line of BEGIN"),
        pytest.param(b"".join(LINES[:-1]).rstrip() + LINES[-1], "broken_pem", id="base64 in the line of END"),
        pytest.param(LINES[0] + b"MII=\nMIIC\n" + LINES[-1], "broken_pem", id="padding in between"),
        pytest.param(LINES[0] + LINES[-1], "broken_pem", id="nothing between BEGIN and END"),
        pytest.param(MADE.pem + _armoured("X509 CRL", b"0"), "other_pem_block", id="another block after it"),
        pytest.param(_armoured("TRUSTED CERTIFICATE", MADE.der), "other_pem_block", id="OpenSSL's trusted form"),
        pytest.param(_armoured("X509 CERTIFICATE", MADE.der), "other_pem_block", id="an old label"),
        pytest.param(_armoured("certificate", MADE.der), "other_pem_block", id="lower case"),
        pytest.param(b"-----BEGIN " * 20, "other_pem_block", id="labels without an end"),
    ],
)
def test_anything_else_is_refused_with_its_reason(data: bytes, code: str) -> None:
    assert _code(data) == code


def test_each_code_has_one_sentence_that_says_what_to_do() -> None:
    assert len(set(pem.REASONS.values())) == len(pem.REASONS)
    assert all("upload" in detail.lower() or "openssl" in detail for detail in pem.REASONS.values())
