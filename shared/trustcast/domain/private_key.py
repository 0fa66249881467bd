"""Recognising private key material in whatever form it is pasted or uploaded.

Trustcast never wants a private key, so a false alarm costs one upload and a miss puts a secret where it must not
be: everything is searched for, wherever in the bytes it stands, also inside base64, UTF-16 and other structures.

Every upload comes through here. So a search begins with a few bytes that a certificate hardly ever holds: to find
that they are missing takes no time, and the patterns are tried only where they are there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import islice

from trustcast.domain import der as asn1

_WORDS = (b"PRIVATE KEY", b"openssh-key-v1", b"PuTTY-User-Key-File-", b"DEK-Info:")
_IN_ANY_CASE = re.compile(rb"begin[^\r\n]{0,40}private[ _-]?key")
# Two words that are a key only together.
_PAIRS = (
    (b'"kty"', re.compile(rb'"[dk]"\s*:')),  # JSON Web Key (RFC 7517)
    (b"<RSAKeyValue>", re.compile(rb"<(?:D|P|Q|InverseQ)>")),  # XML Signature, as .NET writes keys
)

_KEYSTORE_STARTS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_LENGTH = rb"(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)"
# What stands in the middle of each, and the whole.
_STRUCTURES = tuple(
    (middle, re.compile(whole, re.DOTALL))
    for middle, whole in (
        (b"\xfe\xed\xfe\xed\0\0\0", rb"\xfe\xed\xfe\xed\0\0\0[\x01\x02]"),  # JKS
        (b"\xce\xce\xce\xce\0\0\0", rb"\xce\xce\xce\xce\0\0\0[\x01\x02]"),  # JCEKS
        # BKS and BouncyCastle UBER: version, length of the salt
        (b"\0\0\0\x14", rb"\0\0\0[\x01\x02]\0\0\0\x14"),
        # PFX (RFC 7292): SEQUENCE { INTEGER 3, SEQUENCE { OID pkcs7-data or -signedData; indefinite lengths occur
        (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x07",
            rb"\x02\x01\x03\x30" + _LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01\x02]",
        ),
        # EncryptedPrivateKeyInfo (RFC 5958): SEQUENCE { SEQUENCE { OID of PKCS #5 …
        (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x05",
            rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05",
        ),
        # … or of PKCS #12's ciphers
        (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01",
            rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01",
        ),
    )
)
_VERSIONED = re.compile(
    # INTEGER 0 or 1, the first in a SEQUENCE, before an INTEGER, an OCTET STRING (in BER maybe in parts) or a SEQUENCE
    rb"\x02\x01(?:(?<=\x30[\0-\x80]..)|(?<=\x30\x81...)|(?<=\x30\x82....)|(?<=\x30\x83.....)|(?<=\x30\x84......))"
    rb"[\0\x01](?=[\x02\x04\x24\x30])",
    re.DOTALL,
)
_SEC1_OCTETS = range(14, 73)
_LEAST_RSA_OCTETS = 32
_MOST_LOOKALIKES = 100

_BLOCK = re.compile(rb"-----BEGIN (CERTIFICATE|PKCS7|CMS)-----([A-Za-z0-9+/\r\n]{64,}+={0,2}+[\r\n]*+)-----END \1-----")
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{40,}")
_NOT_BASE64_SPACE = b" \t\n\r\v\f"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_END_OF_PART = b"\xff|\xff|\xff|\xff"


def found_in(data: bytes) -> bool:
    """Tell whether `data` holds private key material, or a key store, which is made to hold it."""
    # What UTF-16 and UTF-32 make of ASCII. None of the marks in a text has a zero byte.
    plain = data.replace(b"\0", b"")
    if len(plain) != len(data) and _binary_in(data):
        return True
    return any(_text_in(form) or _binary_in(form) for form in _forms(plain))


def _forms(data: bytes) -> Iterator[bytes]:
    contents: list[bytes] = []
    rest = _BLOCK.sub(lambda block: _moved(block, contents), data)
    yield rest
    if contents:
        yield _END_OF_PART.join(contents)
    yield from _decodings(rest)


def _moved(block: re.Match[bytes], contents: list[bytes]) -> bytes:
    """Put what a PEM block holds into `contents` and leave nothing of it, if it is exactly one element in DER.

    Then it is certain how its base64 is aligned: it need not be tried in other ways.
    """
    try:
        content = binascii.a2b_base64(block[2])
        whole = content[0] == asn1.SEQUENCE and asn1.element(content).end == len(content)
    except (ValueError, IndexError):
        return block[0]
    if not whole:
        return block[0]
    contents.append(content)
    return b""


def _text_in(data: bytes) -> bool:
    if any(words in data for words in _WORDS):
        return True
    lower = data.lower()
    if b"private" in lower and _IN_ANY_CASE.search(lower):
        return True
    return any(word in data and other.search(data) for word, other in _PAIRS)


def _binary_in(data: bytes) -> bool:
    if data.startswith(_KEYSTORE_STARTS):
        return True
    if any(middle in data and whole.search(data) for middle, whole in _STRUCTURES):
        return True
    # No certificate, and no chain of them, holds so many; each of them takes time.
    lookalikes = list(islice(_VERSIONED.finditer(data), _MOST_LOOKALIKES))
    return len(lookalikes) == _MOST_LOOKALIKES or any(_is_key_after_version(data, each.end()) for each in lookalikes)


def _is_key_after_version(data: bytes, at: int) -> bool:
    """Before `at` stands INTEGER 0 or 1; a certificate of version 1 and serial 1 begins in the same way.

    What is cut off behind the second element counts as a key: a line of a quoted mail holds no more of it.
    """
    try:
        second = asn1.ber_element(data, at)
    except ValueError:
        return False
    is_cut_off = data.find(_END_OF_PART, at, second.end + len(_END_OF_PART)) >= 0
    after, size = second.end + second.closed_by, second.end - second.body
    third = b"" if is_cut_off else data[after : after + 1]
    match second.tag:
        case asn1.INTEGER:  # PKCS #1 and the old DSA form: the modulus or prime, and another number
            return size >= _LEAST_RSA_OCTETS and third in (b"\x02", b"")
        case asn1.OCTET_STRING | asn1.OCTET_STRINGS:  # SEC 1 (RFC 5915): the key
            return data[at - 1] == 1 and size in _SEC1_OCTETS
        case _:  # PKCS #8 (RFC 5958): AlgorithmIdentifier, and the key as an OCTET STRING
            return data[second.body : second.body + 1] == b"\x06" and third in (b"\x04", b"\x24", b"")


def _decodings(text: bytes) -> Iterator[bytes]:
    """All long runs of base64 at each of the four alignments: words before a run may have shifted it."""
    runs = _BASE64_RUN.findall(text.translate(_URL_SAFE, _NOT_BASE64_SPACE))
    for shift in range(4) if runs else ():
        aligned = (run[shift : len(run) - (len(run) - shift) % 4] for run in runs)
        yield _END_OF_PART.join(map(binascii.a2b_base64, aligned))
