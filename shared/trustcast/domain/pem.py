"""The text around certificates: blocks of base64 between BEGIN and END lines (RFC 7468) -> the bytes in them.

Stricter than RFC 7468, 2 asks of parsers: what is overlooked around a certificate at the door is stored, queued and
logged behind it. So nothing but white space stands around the blocks, and there is one way to write each byte.
"""

from __future__ import annotations

import base64
import binascii
import re

from trustcast.domain import private_key
from trustcast.domain.errors import Rejected

BEGIN = b"-----BEGIN "
LABELS = (b"CERTIFICATE", b"PKCS7", b"CMS")

REASONS = {
    "private_key": (
        "This holds a private key, or is a key store that may hold one. Nothing of it was kept, but it has left "
        "your machine: consider the key compromised. Upload the certificate alone "
        "(openssl x509 -in file.pem -out certificate.pem; openssl pkcs12 -in file.p12 -nokeys -clcerts; "
        "keytool -exportcert -rfc -alias NAME -keystore file.jks)."
    ),
    "byte_order_mark": (
        "The file begins with a byte-order mark; save it as plain ASCII "
        "(openssl x509 -in file.pem -out certificate.pem) and upload that."
    ),
    "other_pem_block": (
        "The file holds a PEM block that is not labelled CERTIFICATE or PKCS7; upload the certificate alone "
        "(openssl x509 -in file.pem -out certificate.pem)."
    ),
    "text_around_certificate": (
        "There is other text before or after a certificate; upload only the lines from BEGIN CERTIFICATE to "
        "END CERTIFICATE (sed -n '/-BEGIN/,/-END/p' file.pem > certificate.pem)."
    ),
    "pem_headers": (
        "There are header lines inside the PEM block, which a certificate does not have (RFC 7468, 2); remove them "
        "(openssl x509 -in file.pem -out certificate.pem)."
    ),
    "broken_pem": (
        "The PEM block is damaged: it needs its BEGIN and END lines, each on a line of its own, and whole base64 "
        "between them; export the certificate again (openssl x509 -in file.pem -out certificate.pem)."
    ),
}

_DASHES = b"-----"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_WHITESPACE = b" \t\r\n"
_WAS_PEM = re.compile(rb"BEGIN CERTIFICATE|END CERTIFICATE|BEGIN PKCS7|END PKCS7|\A\s*MII")


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


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
