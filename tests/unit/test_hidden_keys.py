"""A private key inside a certificate, in an encoding of its own, is found in whatever file the certificate comes."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from tests.certificates import authority, issued, rsa_key
from trustcast.domain.certificate_file import read
from trustcast.domain.errors import Rejected
from trustcast.keystore import jks
from trustcast_api.read_bulk import Raw, read_line
from trustcast_api.read_keystore import read_keystore


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
        pytest.param(lambda key: base64.b64encode(key).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(lambda key: base64.b64encode(base64.encodebytes(key).decode().encode("utf-16")), id="both"),
    ],
)
def test_private_key_in_a_comment_of_a_certificate_is_refused_whatever_the_file_is(
    within: Callable[[bytes], bytes],
) -> None:
    key = rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.13"), within(key))
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
