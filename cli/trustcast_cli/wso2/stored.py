r"""What stands in a CERTIFICATE column -> the certificates in DER.

WSO2 stores the base64 text of the uploaded file, which was PEM or DER. Exports write the bytes in hexadecimal, some
with `\x` or `0x` before them; DER and PEM themselves are read, too.
"""

from __future__ import annotations

import base64
import binascii
import re

from trustcast.domain import der as asn1

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_HEX = re.compile(rb"(?:\\x|0x)?((?:[0-9A-Fa-f]{2})+)")
_LONG_LENGTHS = range(0x81, 0x85)  # no certificate is so short that it needs none
_WRAPPINGS = 3  # hexadecimal of base64 of PEM


def certificates_in(stored: bytes) -> tuple[bytes, ...]:
    """Return what may be certificates, in their order; none for what cannot be read."""
    for _ in range(_WRAPPINGS + 1):
        if blocks := _BLOCK.findall(stored):
            return tuple(der for block in blocks for der in _elements(_from_base64(block)))
        if ders := _elements(stored):
            return ders
        stored = _unwrapped(b"".join(stored.split()))
    return ()


def _elements(data: bytes) -> tuple[bytes, ...]:
    """Several certificates in DER stand one behind the other; the bytes have to be nothing else."""
    found: list[bytes] = []
    while data:
        try:
            element = asn1.element(data)
        except ValueError:
            return ()
        if data[0] != asn1.SEQUENCE or data[1] not in _LONG_LENGTHS or element.end > len(data):
            return ()
        found.append(data[: element.end])
        data = data[element.end :]
    return tuple(found)


def _unwrapped(text: bytes) -> bytes:
    if hexadecimal := _HEX.fullmatch(text):
        return bytes.fromhex(hexadecimal[1].decode("ascii"))
    return _from_base64(text)


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return b""
