"""An uploaded file -> the DER of its one certificate.

Stricter than `cryptography`, which takes the first of several certificates and overlooks private keys, text and
byte-order marks around it (RFC 7468, 2 allows that to parsers). What is overlooked at the door is stored, queued
and logged behind it, so whatever is not exactly one certificate is refused, private keys before anything else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trustcast.domain import der as asn1
from trustcast.domain import private_key
from trustcast.domain.errors import Rejected

MAX_BYTES = 64 * 1024
"""Of an uploaded certificate, as it was sent."""

REASONS = {
    "private_key": (
        "This holds a private key, or is a key store that may hold one. Nothing of it was kept, but it has left "
        "your machine: consider the key compromised. Upload the certificate alone "
        "(openssl x509 -in file.pem -out certificate.pem; openssl pkcs12 -in file.p12 -nokeys -clcerts; "
        "keytool -exportcert -rfc -alias NAME -keystore file.jks)."
    ),
    "certificate_empty": "The certificate file is empty; upload the certificate in PEM or DER form.",
    "certificate_too_large": "The certificate file is larger than 64 KB; upload one certificate alone.",
    "byte_order_mark": (
        "The file begins with a byte-order mark; save it as plain ASCII "
        "(openssl x509 -in file.pem -out certificate.pem) and upload that."
    ),
    "other_pem_block": (
        "The file holds a PEM block that is not labelled CERTIFICATE; upload the certificate alone "
        "(openssl x509 -in file.pem -out certificate.pem; for PKCS #7: openssl pkcs7 -print_certs)."
    ),
    "several_certificates": (
        "The file holds more than one certificate; upload them one by one, each under its own alias "
        "(the first: openssl x509 -in file.pem -out certificate.pem)."
    ),
    "text_around_certificate": (
        "There is other text before or after the certificate; upload only the lines from BEGIN CERTIFICATE to "
        "END CERTIFICATE (openssl x509 -in file.pem -out certificate.pem)."
    ),
    "pem_headers": (
        "There are header lines inside the PEM block, which a certificate does not have (RFC 7468, 2); remove them "
        "(openssl x509 -in file.pem -out certificate.pem)."
    ),
    "broken_pem": (
        "The PEM block is damaged: it needs its BEGIN and END lines, each on a line of its own, and whole base64 "
        "between them; export the certificate again (openssl x509 -in file.pem -out certificate.pem)."
    ),
    "trailing_bytes": (
        "There are bytes after the end of the certificate; write it again "
        "(openssl x509 -inform DER -in file.der -out certificate.pem)."
    ),
    "certificate_truncated": "The end of the certificate is missing; copy or export the whole file again.",
    "not_a_certificate": (
        "This is not an X.509 certificate in PEM or DER form; upload what the backend shows to its clients "
        "(openssl s_client -connect HOST:PORT </dev/null | openssl x509 -out certificate.pem)."
    ),
}

_OTHERS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    ("This is a certificate signing request; upload the certificate that the CA made of it.", x509.load_der_x509_csr),
    ("This is a certificate revocation list; upload the backend's certificate.", x509.load_der_x509_crl),
    ("This is a bare public key; upload the certificate that holds it.", load_der_public_key),
)
_PKCS7 = "This is a PKCS #7 file; take the certificate out of it (openssl pkcs7 -inform DER -in file -print_certs)."
_PKCS7_OID = bytes.fromhex("06092a864886f70d0107")

_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LONG_LENGTHS = range(0x81, 0x85)
BEGIN = b"-----BEGIN "
LABELS = (b"CERTIFICATE", b"PKCS7", b"CMS")

_DASHES = b"-----"
_WHITESPACE = b" \t\r\n"
_WAS_PEM = re.compile(rb"BEGIN CERTIFICATE|END CERTIFICATE|\A\s*MII")
_BEGIN = re.compile(rb"-----BEGIN ([^\r\n]*?)-----")
_BLOCK = re.compile(
    rb"(?P<before>.*?)-----BEGIN CERTIFICATE-----(?P<body>.*?)-----END CERTIFICATE-----(?P<after>.*)", re.DOTALL
)


def refuse_private_key(data: bytes, field: str | None = None) -> None:
    """Raise `Rejected` (`private_key`) if `data`, the value of any `field`, holds private key material."""
    if private_key.found_in(data):
        raise Rejected("private_key", REASONS["private_key"], field=field)


def blocks(data: bytes) -> list[bytes]:
    """Return what the blocks with one of the `LABELS` hold; the empty list where there is no trace of PEM.

    Raises `Rejected` with a code of `REASONS` and the field `certificate` for a block with another label, a damaged
    one, and anything but white space around them.
    """
    if data.startswith(_BYTE_ORDER_MARKS):
        raise _rejected("byte_order_mark")
    before, *parts = data.split(BEGIN)
    if not parts and not _WAS_PEM.search(data):
        return []
    if any(_label(part) not in LABELS for part in parts):
        raise _rejected("other_pem_block")
    if not parts or any(_end(part) not in part for part in parts):
        raise _rejected("broken_pem")
    found = [part.partition(_end(part)) for part in parts]
    if any(text.strip(_WHITESPACE) for text in (before, *(after for _, _, after in found))):
        raise _rejected("text_around_certificate")
    return [_from_body(block.partition(_DASHES)[2]) for block, _, _ in found]


def _label(part: bytes) -> bytes:
    return part.partition(_DASHES)[0]


def _end(part: bytes) -> bytes:
    return _DASHES + b"END " + _label(part) + _DASHES


def only_certificate(data: bytes) -> bytes:
    """Return the DER of the one certificate that `data` is, in PEM or DER.

    Raises `Rejected` with a code of `REASONS` and the field `certificate`. Nothing is read of the certificate but
    its outline: `Certificate.parse` says whether it is a sound one.
    """
    refuse_private_key(data, "certificate")
    if not data.strip(_WHITESPACE):
        raise _rejected("certificate_empty")
    if len(data) > MAX_BYTES:
        raise _rejected("certificate_too_large")
    return _only_element(data if _is_binary(data) else _from_pem(data))


def _is_binary(data: bytes) -> bool:
    """'0' is a SEQUENCE's tag, but no text goes on with the long form of a length."""
    return len(data) > 1 and data[0] == asn1.SEQUENCE and data[1] in _LONG_LENGTHS


def _from_pem(data: bytes) -> bytes:
    if data.startswith(_BYTE_ORDER_MARKS):
        raise _rejected("byte_order_mark")
    labels = _BEGIN.findall(data)
    if any(label != b"CERTIFICATE" for label in labels):
        raise _rejected("other_pem_block")
    if len(labels) > 1:
        raise _rejected("several_certificates")
    block = _BLOCK.fullmatch(data)
    if block is None:
        raise _rejected("broken_pem" if _WAS_PEM.search(data) else "not_a_certificate")
    if block["before"].strip(_WHITESPACE) or block["after"].strip(_WHITESPACE):
        raise _rejected("text_around_certificate")
    return _from_body(block["body"])


def _from_body(body: bytes) -> bytes:
    if b":" in body:
        raise _rejected("pem_headers")
    lines = [line.strip(_WHITESPACE) for line in body.split(b"\n")]
    text = b"".join(lines)
    if not text or lines[0] or lines[-1]:  # BEGIN and END stand on lines of their own
        raise _rejected("broken_pem")
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _rejected("broken_pem") from None
    # Unused bits that are not zero (RFC 4648, 3.5) would be a second spelling of the same certificate.
    if base64.b64encode(der) != text:
        raise _rejected("broken_pem")
    return der


def _only_element(der: bytes) -> bytes:
    if not _is_binary(der):
        raise _rejected("not_a_certificate")
    try:
        end = asn1.element(der).end
    except ValueError:
        raise _rejected("certificate_truncated") from None
    if end > len(der):
        raise _rejected("certificate_truncated")
    if end < len(der):
        raise _rejected("several_certificates" if _is_binary(der[end:]) else "trailing_bytes")
    _refuse_other_structures(der)
    return der


def _refuse_other_structures(der: bytes) -> None:
    if _has_outline_of_certificate(der):
        return
    if _PKCS7_OID in der[:24]:
        raise Rejected("not_a_certificate", _PKCS7, field="certificate")
    for detail, load in _OTHERS:
        try:
            load(der)
        # Whatever the parser says, it is not that; `cryptography` raises several unrelated types here.
        except Exception:  # noqa: BLE001, S112
            continue
        raise Rejected("not_a_certificate", detail, field="certificate")
    raise _rejected("not_a_certificate")


def _has_outline_of_certificate(der: bytes) -> bool:
    """RFC 5280, 4.1: SEQUENCE { SEQUENCE { [version,] serial, algorithm, ... }, algorithm, BIT STRING }.

    A signing request has the same outside; its second field is a name (SETs inside), not an algorithm (an OID).
    """
    try:
        outer = asn1.children(der, asn1.element(der))
        fields = asn1.children(der, outer[0])
    except ValueError:
        return False
    if [each.tag for each in outer] != [asn1.SEQUENCE, asn1.SEQUENCE, asn1.BIT_STRING]:
        return False
    fields = fields[1:] if fields and fields[0].tag == asn1.CONTEXT_0 else fields
    if len(fields) < 6 or [each.tag for each in fields[:2]] != [asn1.INTEGER, asn1.SEQUENCE]:  # noqa: PLR2004
        return False
    return der[fields[1].body] == asn1.OBJECT_IDENTIFIER and fields[3].tag == asn1.SEQUENCE


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
