"""Recognising private key material in whatever form it is pasted or uploaded.

Trustcast never wants a private key, so a false alarm costs one upload and a miss puts a secret where it must not
be: everything is searched for, wherever in the bytes it stands, also inside base64, hexadecimal digits, UTF-16 and
other structures, and in three of these one in the other; and as OpenSSL and GnuTLS print it for people.

Every upload comes through here. So a search begins with a few bytes that a certificate hardly ever holds: to find
that they are missing takes no time, and the patterns are tried only where they are there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import chain, islice

from trustcast.domain import der as asn1

# Each with the word key, large or small.
_WORDS = (b"PRIVATE KEY", b"openssh-key-v1", b"PuTTY-User-Key-File-")
_IN_ANY_CASE = re.compile(rb"begin[^\r\n]{0,40}private[ _-]?key")
# Two words that are a key only together.
_PAIRS = (
    (b'"kty"', re.compile(rb'"[dk]"\s*:')),  # JSON Web Key (RFC 7517)
    (b"<RSAKeyValue>", re.compile(rb"<(?:D|P|Q|InverseQ)>")),  # XML Signature, as .NET writes keys
)

# `openssl pkey -text` and `certtool --key-info`: a private number's name, and its octets in lines, maybe quoted ones.
_PRINTED = re.compile(
    rb"pri(?:v(?:ate[ _-]?(?:key|exponent))?|me[12])[^0-9a-z:=]{0,9}+[:=](?:[^0-9a-z]{0,60}+[0-9a-f]{2}){16}"
)

_KEYSTORE_STARTS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_LENGTH = rb"(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)"
_PKCS = b"\x2a\x86\x48\x86\xf7\x0d\x01"
# What several have in common, and of each what stands in its middle, and the whole.
_STRUCTURES = tuple(
    (mark, tuple((middle, re.compile(whole, re.DOTALL)) for middle, whole in structures))
    for mark, structures in (
        (
            b"\0\0\0",
            (
                (b"\xfe\xed\xfe\xed\0\0\0", rb"\xfe\xed\xfe\xed\0\0\0[\x01\x02]"),  # JKS
                (b"\xce\xce\xce\xce\0\0\0", rb"\xce\xce\xce\xce\0\0\0[\x01\x02]"),  # JCEKS
                # BKS and BouncyCastle UBER: version, length of the salt
                (b"\0\0\0\x14", rb"\0\0\0[\x01\x02]\0\0\0\x14"),
            ),
        ),
        (
            _PKCS,
            (
                # PFX (RFC 7292): SEQUENCE { INTEGER 3, SEQUENCE { OID pkcs7-data or -signedData; maybe in BER
                (
                    _PKCS + b"\x07",
                    rb"\x02\x01\x03\x30" + _LENGTH + rb"\x06\x09" + re.escape(_PKCS) + rb"\x07[\x01\x02]",
                ),
                # EncryptedPrivateKeyInfo (RFC 5958): SEQUENCE { SEQUENCE { OID of PKCS #5 …
                (_PKCS + b"\x05", rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06\x09" + re.escape(_PKCS) + rb"\x05"),
                # … or of PKCS #12's ciphers
                (
                    _PKCS + b"\x0c\x01",
                    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06\x0a" + re.escape(_PKCS) + rb"\x0c\x01",
                ),
            ),
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
# Of an algorithm or a key in BER, which have a few; to go through more behind each of the lookalikes takes a second.
_MOST_PARTS = 100

_BLOCK = re.compile(rb"-----BEGIN (CERTIFICATE|PKCS7|CMS)-----([A-Za-z0-9+/\r\n]{64,}+={0,2}+[\r\n]*+)-----END \1-----")
# To find out that there is no run takes a tenth of the time with each byte's kind in its place.
_RUN = (b"A" * 40, re.compile(rb"[A-Za-z0-9+/]{40,}"))
# Beside a certificate there is nothing else, so what is there may be the short last line of a key.
_FRAGMENT = (b"A" * 16, re.compile(rb"[A-Za-z0-9+/]{16,}"))
_KINDS = bytes(ord("A") if re.match(rb"[A-Za-z0-9+/_-]", bytes([one])) else ord(" ") for one in range(256))
_HEX_RUN = re.compile(rb"[0-9A-Fa-f]{64,}")
_SHORTEST_HEX = b"0" * 64
_HEX_KINDS = bytes(ord("0") if re.match(rb"[0-9A-Fa-f]", bytes([one])) else ord(" ") for one in range(256))
_DEEPER = 2
_LEAST_WITHIN = 10_000
_BETWEEN = b" \t\n\r\v\f:"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_END_OF_PART = b"\xff|\xff|\xff|\xff"


def found_in(data: bytes) -> bool:
    """Tell whether `data` holds private key material, or a key store, which is made to hold it.

    What its base64, hexadecimal digits and PEM blocks hold is searched, and what the base64 and digits in that hold,
    and once more in that.
    """
    plain = _without_zeros(data)
    if len(plain) != len(data) and _binary_in(data):
        return True
    contents: list[bytes] = []
    rest = _BLOCK.sub(lambda block: _moved(block, contents), plain)
    if rest.strip() and (_text_in(rest) or _binary_in(rest)):
        return True
    blocks = [_END_OF_PART.join(contents)] if contents else []
    forms = chain(blocks, _decodings(_runs(rest, _FRAGMENT if contents else _RUN)))
    return _within(forms, max(2 * len(data), _LEAST_WITHIN))


def _within(forms: Iterator[bytes], left: int) -> bool:
    """Search what was decoded once, and what is encoded in that twice more; `left`: so many characters of it."""
    for _ in range(_DEEPER):
        deeper: list[Iterator[bytes]] = []
        for form in forms:
            text = _without_zeros(form)
            runs = _runs(text, _RUN)
            left -= sum(map(len, runs))
            # No certificate holds so much base64 that is base64 again at three alignments; each of them takes time.
            if left < 0 or _binary_in(form) or _text_in(text):
                return True
            if runs:
                deeper.append(_decodings(runs))
        forms = chain.from_iterable(deeper)
    return any(_binary_in(one) or _text_in(_without_zeros(one)) for one in forms)


def _without_zeros(data: bytes) -> bytes:
    """What UTF-16 and UTF-32 make of ASCII, as it was. None of the marks in a text has a zero byte."""
    return data.translate(None, b"\0") if b"\0" in data else data


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
    lower = data.lower()
    if b"key" in lower and (any(words in data for words in _WORDS) or _IN_ANY_CASE.search(lower)):
        return True
    if b"pri" in lower and _PRINTED.search(lower):
        return True
    return b"DEK-Info:" in data or any(word in data and other.search(data) for word, other in _PAIRS)


def _binary_in(data: bytes) -> bool:
    if data.startswith(_KEYSTORE_STARTS):
        return True
    for mark, structures in _STRUCTURES:
        if mark in data and any(middle in data and whole.search(data) for middle, whole in structures):
            return True
    # No certificate, and no chain of them, holds so many; each of them takes time.
    lookalikes = list(islice(_VERSIONED.finditer(data), _MOST_LOOKALIKES))
    return len(lookalikes) == _MOST_LOOKALIKES or any(_is_key_after_version(data, each.end()) for each in lookalikes)


def _is_key_after_version(data: bytes, at: int) -> bool:
    """Before `at` stands INTEGER 0 or 1; a certificate of version 1 and serial 1 begins in the same way.

    What is cut off behind the second element counts as a key: a line of a quoted mail holds no more of it.
    """
    try:
        second = asn1.ber_element(data, at, at_most=_MOST_PARTS)
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


def _runs(text: bytes, run: tuple[bytes, re.Pattern[bytes]]) -> list[bytes]:
    """All runs of base64, white space and colons left out, that are as long as `run` asks for."""
    shortest, pattern = run
    if shortest not in text.translate(_KINDS, _BETWEEN):
        return []
    return pattern.findall(text.translate(_URL_SAFE, _BETWEEN))


def _decodings(runs: list[bytes]) -> Iterator[bytes]:
    """All runs at each of the four alignments: words before a run may have shifted it. Digits also as hexadecimal."""
    for shift in range(4) if runs else ():
        aligned = (run[shift : len(run) - (len(run) - shift) % 4] for run in runs)
        yield _END_OF_PART.join(map(binascii.a2b_base64, aligned))
    joined = b"|".join(runs)
    # .NET writes octets with dashes between them, which are pluses here.
    is_hex = _SHORTEST_HEX in joined.translate(_HEX_KINDS, b"+")
    digits = _HEX_RUN.findall(joined.translate(None, b"+")) if is_hex else []
    for shift in range(2) if digits else ():
        yield _END_OF_PART.join(binascii.a2b_hex(run[shift : len(run) - (len(run) - shift) % 2]) for run in digits)
