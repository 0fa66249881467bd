"""Recognising private key material in whatever form it is pasted or uploaded.

Trustcast never wants a private key, so a false alarm costs one upload and a miss puts a secret where it must not
be: everything is searched for, wherever in the bytes it stands, also inside base64, UTF-16 and other structures.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from trustcast.domain import der as asn1

_WORDS = (
    re.compile(rb"PRIVATE KEY"),
    re.compile(rb"BEGIN[^\r\n]{0,40}PRIVATE[ _-]?KEY", re.IGNORECASE),
    re.compile(rb"openssh-key-v1"),
    re.compile(rb"PuTTY-User-Key-File-"),
    re.compile(rb"DEK-Info:"),
)
# Two words that are a key only together.
_PAIRS = (
    (b'"kty"', re.compile(rb'"[dk]"\s*:')),  # JSON Web Key (RFC 7517)
    (b"<RSAKeyValue>", re.compile(rb"<(?:D|P|Q|InverseQ)>")),  # XML Signature, as .NET writes keys
)
_KEYSTORES = (
    re.compile(rb"\xfe\xed\xfe\xed\0\0\0[\x01\x02]"),  # JKS
    re.compile(rb"\xce\xce\xce\xce\0\0\0[\x01\x02]"),  # JCEKS
    re.compile(rb"\0\0\0[\x01\x02]\0\0\0\x14"),  # BKS and BouncyCastle UBER: version, length of the salt
)
_KEYSTORE_STARTS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")

_LENGTH = rb"(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)"
_PFX = re.compile(
    # RFC 7292: SEQUENCE { INTEGER 3, SEQUENCE { OID pkcs7-data or -signedData; indefinite lengths occur
    rb"\x30" + _LENGTH + rb"\x02\x01\x03\x30" + _LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01\x02]",
    re.DOTALL,
)
_ENCRYPTED = re.compile(
    # RFC 5958 EncryptedPrivateKeyInfo: SEQUENCE { SEQUENCE { OID of PKCS #5 or of PKCS #12's ciphers
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05"
    rb"|\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01)",
    re.DOTALL,
)
_VERSIONED = re.compile(rb"\x30" + _LENGTH + rb"(?=\x02\x01[\0\x01][\x02\x04\x30])", re.DOTALL)
_VERSION_SIZE = 3
_SEC1_OCTETS = range(14, 73)
_LEAST_RSA_OCTETS = 32

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{40,}")
_NOT_BASE64_SPACE = re.compile(rb"[\s\0]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def found_in(data: bytes) -> bool:
    """Tell whether `data` holds private key material, or a key store, which is made to hold it."""
    plain = data.replace(b"\0", b"")  # what UTF-16 and UTF-32 make of ASCII
    return any(_text_in(form) or _binary_in(form) for form in (data, plain, *_decodings(plain)))


def _text_in(data: bytes) -> bool:
    if any(words.search(data) for words in _WORDS):
        return True
    return any(word in data and other.search(data) for word, other in _PAIRS)


def _binary_in(data: bytes) -> bool:
    if data.startswith(_KEYSTORE_STARTS) or any(magic.search(data) for magic in _KEYSTORES):
        return True
    if _PFX.search(data) or _ENCRYPTED.search(data):
        return True
    return any(_is_key_after_version(data, match.end()) for match in _VERSIONED.finditer(data))


def _is_key_after_version(data: bytes, version: int) -> bool:
    """At `version` stands INTEGER 0 or 1; a certificate of version 1 and serial 1 begins in the same way.

    What is cut off behind the second element counts as a key: a line of a quoted mail holds no more of it.
    """
    try:
        second = asn1.element(data, version + _VERSION_SIZE)
    except ValueError:
        return False
    size, third = second.end - second.body, data[second.end : second.end + 1]
    match second.tag:
        case asn1.INTEGER:  # PKCS #1 and the old DSA form: the modulus or prime, and another number
            return size >= _LEAST_RSA_OCTETS and third in (b"\x02", b"")
        case asn1.OCTET_STRING:  # SEC 1 (RFC 5915): the key
            return data[version + 2] == 1 and size in _SEC1_OCTETS
        case _:  # PKCS #8 (RFC 5958): AlgorithmIdentifier, and the key as an OCTET STRING
            return data[second.body : second.body + 1] == b"\x06" and third in (b"\x04", b"")


def _decodings(text: bytes) -> Iterator[bytes]:
    """Each long run of base64 at each of the four alignments: words before it may have shifted it."""
    joined = _NOT_BASE64_SPACE.sub(b"", text).translate(_URL_SAFE)
    for run in _BASE64_RUN.findall(joined):
        for shift in range(4):
            usable = run[shift : len(run) - (len(run) - shift) % 4]
            yield base64.b64decode(usable)
