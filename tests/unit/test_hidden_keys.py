"""A private key is found inside a certificate, in an encoding of its own, and where openssl prints it for people."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import textwrap
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from tests.certificates import Key, Made, authority, ec_key, issued, rsa_key, self_signed
from tests.leaked_keys import printed
from tests.tools import missing
from trustcast.domain import pem, private_key
from trustcast.domain.certificate_file import read
from trustcast.domain.errors import Rejected
from trustcast.keystore import jks
from trustcast_api.read_bulk import Raw, read_line
from trustcast_api.read_keystore import read_keystore

KEYS: dict[str, Callable[[], Key]] = {"RSA": rsa_key, "EC": ec_key, "Ed25519": Ed25519PrivateKey.generate}
MADE = self_signed()
COMMENT = x509.ObjectIdentifier("2.16.840.1.113730.1.13")


def _code(data: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        read(data)
    return refused.value.code


def _armoured(label: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    "within",
    [
        pytest.param(base64.b64encode, id="base64"),
        pytest.param(lambda key: base64.b64encode(base64.b64encode(key)), id="base64 of base64"),
        pytest.param(lambda key: base64.b64encode(base64.b64encode(base64.b64encode(key))), id="base64 three times"),
        pytest.param(lambda key: base64.b64encode(key).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(lambda key: base64.b64encode(base64.encodebytes(key).decode().encode("utf-16")), id="both"),
    ],
)
def test_private_key_in_a_comment_of_a_certificate_is_refused_whatever_the_file_is(
    within: Callable[[bytes], bytes],
) -> None:
    key = rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    comment = x509.UnrecognizedExtension(COMMENT, within(key))
    root = authority("Root", extensions=[(comment, False)])
    leaf = issued(root)
    together = pkcs7.serialize_certificates([leaf.certificate, root.certificate], Encoding.DER)

    assert _code(root.der) == "private_key"
    assert _code(root.pem) == "private_key"
    assert _code(root.pem.replace(b"\n", b" \n")) == "private_key"
    assert _code(leaf.pem + root.pem) == "private_key"
    assert _code(together) == "private_key"
    assert _code(_armoured("PKCS7", together)) == "private_key"
    assert _problem(root.pem.decode()) == "private_key"
    assert _problem(base64.b64encode(root.der).decode()) == "private_key"
    with pytest.raises(Rejected) as refused:
        read_keystore(_store(root.der), "changeit")
    assert refused.value.code == "private_key"


def _problem(certificate: str) -> str | None:
    line = {"alias": "backend", "endpoint": "https://backend.example", "certificate": certificate}
    problem = read_line(Raw(1, json.dumps(line).encode())).problem
    return problem.code if problem else None


def _store(der: bytes) -> bytes:
    return jks.write([jks.trusted_entry("backend", der)], "changeit")


def _quoted(text: bytes) -> bytes:
    return b"> " + text.replace(b"\n", b"\n> ")


AROUND: dict[str, Callable[[bytes], bytes]] = {
    "alone": lambda text: text,
    "without its heading": lambda text: text.partition(b"\n")[2],
    "before a certificate": lambda text: text + MADE.pem,
    "after a certificate": lambda text: MADE.pem + text,
    "in a quoted mail": _quoted,
    "in a mail that is quoted twice": lambda text: _quoted(_quoted(text)),
    "in lines of Windows": lambda text: text.replace(b"\n", b"\r\n"),
    "in one line": lambda text: text.replace(b"\n", b" "),
    "in capitals": bytes.upper,
    "in wide characters": lambda text: text.decode().encode("utf-16"),
    "in base64": base64.encodebytes,
    "in base64 of base64": lambda text: base64.b64encode(base64.b64encode(text)),
    "in a certificate": lambda text: self_signed(extensions=[(x509.UnrecognizedExtension(COMMENT, text), False)]).pem,
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", KEYS)
def test_key_as_it_is_printed_is_found(kind: str, around: str) -> None:
    assert private_key.found_in(AROUND[around](printed(KEYS[kind]()).encode()))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", [*KEYS, "Ed448"])
def test_key_that_openssl_prints_is_found(kind: str, around: str) -> None:
    key = Ed448PrivateKey.generate() if kind == "Ed448" else KEYS[kind]()
    text = _openssl(
        "pkey", "-noout", "-text", given=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )

    assert private_key.found_in(AROUND[around](text))


@pytest.mark.parametrize(
    "name", ["priv", "privateExponent", "prime1", "prime2", "private key", "private-key", "private exponent"]
)
def test_each_private_number_is_enough(name: str) -> None:
    """The last three as GnuTLS and older versions of OpenSSL call them."""
    assert private_key.found_in(f"{name}:\n\t{bytes(range(16)).hex(':')}".encode())
    assert private_key.found_in(f'"{name}" = {bytes(range(16)).hex()}'.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("priv:\n    " + bytes(15).hex(":"), id="too short for a key"),
        pytest.param("priv:\n    " + ":\n    ".join(["00:" * 14 + "00", "xx"]), id="too few octets"),
        pytest.param("privileges: " + bytes(16).hex(":"), id="another word"),
        pytest.param("https://priv-0123456789abcdef0123456789abcdef.example", id="name of a host"),
        pytest.param("Public-Key: (256 bit)\npub:\n    " + bytes(65).hex(":"), id="public key"),
        pytest.param("Subject: CN = private.example\nSignature Value:\n" + bytes(range(256)).hex(":"), id="signature"),
    ],
)
def test_what_resembles_it_is_no_key(text: str) -> None:
    assert not private_key.found_in(text.encode())


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", [*KEYS, "chain"])
def test_certificate_that_openssl_prints_is_no_key(kind: str, around: str) -> None:
    made = _chained() if kind == "chain" else self_signed(key=KEYS[kind]())
    text = _openssl("x509", "-text", given=made.pem)

    assert not private_key.found_in(AROUND[around](text))


def _chained() -> Made:
    return issued(authority("Root", key=rsa_key()))


def test_text_of_a_certificate_around_it_is_told_from_a_key() -> None:
    text = _openssl("x509", "-text", given=MADE.pem)
    pem.refuse_private_key(text)

    with pytest.raises(Rejected) as refused:
        pem.blocks(text)

    assert refused.value.code == "text_around_certificate"


def _openssl(*arguments: str, given: bytes) -> bytes:
    path = shutil.which("openssl")
    if path is None:
        missing("openssl is not on PATH")
    return subprocess.run([path, *arguments], input=given, capture_output=True, check=True).stdout
