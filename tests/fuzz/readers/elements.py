"""Changes to one element of DER, after which the lengths of those around it are right again.

So a reader gets as far as the change: with a wrong length it would stop at the outermost element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from tests import key_stores as ks
from tests.key_stores import seq, tlv

Inside = tuple[bytes, Callable[[bytes], bytes]]
"""What is in an element, and what puts it back."""
Opener = Callable[[int, bytes], Inside | None]

_CONSTRUCTED, _LONG = 0x20, 0x80
_BIT_STRING, _OCTET_STRING = 0x03, 0x04
_TAGS = [*range(1, 7), 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E, 0x24, 0x30, 0x31, *range(0x80, 0x88), *range(0xA0, 0xA4)]
_WRONG_LENGTHS = (b"", b"\x80", b"\x81", b"\x84\xff\xff\xff\xff", b"\x85\0\0\0\0\1", b"\xff", b"\x7f")
_SMALL_NUMBERS = [b"", b"\0", b"\1", b"\2", b"\3", b"\x7f", b"\x80", b"\xff", b"\0\xff"]
_LARGE_NUMBERS = [b"\3\0\0", b"\x10\0\0", b"\x40\0\0", b"\x7f" * 4, b"\x7f" * 8, b"\x7f" * 21]
_UTC_TIMES = [b"000101000000Z", b"491231235959Z", b"500101000000Z", b"261101000000+0100", b"9913"]
_TIMES = [b"00010101000000Z", b"19500101000000Z", b"20500101000000Z", b"99991231235959Z", b"20261101000000.5Z", b"0"]
_DATES = [*(tlv(0x17, one) for one in _UTC_TIMES), *(tlv(0x18, one) for one in _TIMES)]
_OIDS = [
    # Extensions: alternative names, basic and name constraints, key usages, key identifiers, policies.
    *("551d11", "551d12", "551d13", "551d1e", "551d0f", "551d25", "551d23", "551d0e", "551d20", "551d24", "551d36"),
    # Names; RSA, its hashes and PSS; curves; Ed25519 and Ed448; DSA.
    *("550403", "550406", "2a864886f70d010901", "2a864886f70d010101", "2a864886f70d010104", "2a864886f70d010105"),
    *("2a864886f70d01010a", "2a864886f70d01010b", "2a8648ce3d0201", "2a8648ce3d030107", "2b81040022"),
    *("2a8648ce3d040302", "2b6570", "2b6571", "2a8648ce380401"),
    # PKCS #7; server authentication, any.
    *("2a864886f70d010701", "2a864886f70d010702", "2a864886f70d010706", "2b06010505070301", "551d2500"),
    # What is in a PKCS12 file: its bags, what protects them, hashes.
    *(ks.KEY_BAG, ks.SHROUDED_BAG, ks.CERTIFICATE_BAG, ks.NESTED_BAG, ks.FRIENDLY_NAME, ks.PBKDF2, ks.PBES2, ks.PBMAC1),
    *(ks.TRIPLE_DES, ks.RC2_40, ks.SHA1, ks.SHA256, ks.SHA512, ks.HMAC_SHA1, ks.HMAC_SHA256, ks.AES_128, ks.AES_256),
]
_KNOWN = {
    0x02: [tlv(0x02, one) for one in _SMALL_NUMBERS + _LARGE_NUMBERS],
    0x06: [ks.oid(one) for one in _OIDS],
    0x17: _DATES,
    0x18: _DATES,
}
_INNER = 0.92
"""How often it goes further inside instead of changing what it came to."""


def mutated(data: bytes, luck: Random, others: Sequence[bytes], opener: Opener | None = None) -> bytes:
    """Return `data` with one element changed, wherever it is; without elements in it, with some bytes changed.

    `others` are files that may lend an element; `opener` knows what else has elements inside.
    """
    elements = list(split(data))
    if not elements:
        return changed(data, luck)
    start, body, end = luck.choice(elements)
    tag, content = data[start], data[body:end]
    inside = (opener and opener(tag, content)) or opened(tag, content)
    if inside and luck.random() < _INNER:
        within, put_back = inside
        new = put_back(mutated(within, luck, others, opener))
    else:
        new = luck.choice(_CHANGES_OF_ELEMENTS)(_Element(tag, content, luck, others))
    return data[:start] + new + data[end:]


def split(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield for each element where it starts, its content and its end; nothing unless they fill `data`."""
    found, at = [], 0
    while at < len(data):
        start, length, at = at, data[at + 1 : at + 2], at + 2
        if not length:
            return
        size = length[0]
        if size >= _LONG:
            octets = size - _LONG
            size, at = int.from_bytes(data[at : at + octets]), at + octets
            if not 1 <= octets <= 4:
                return
        found.append((start, at, at + size))
        at += size
    if at == len(data):
        yield from found


def opened(tag: int, content: bytes) -> Inside | None:
    """What constructed elements hold, and strings whose content is DER itself."""
    if tag & _CONSTRUCTED or (tag == _OCTET_STRING and any(True for _ in split(content))):
        return content, lambda inner: tlv(tag, inner)
    if tag == _BIT_STRING and content[:1] == b"\0" and any(True for _ in split(content[1:])):
        return content[1:], lambda inner: tlv(tag, b"\0", inner)
    return None


def changed(data: bytes, luck: Random) -> bytes:
    """Return `data` with some bytes changed, left out, doubled or put in."""
    at = luck.randint(0, len(data))
    to = min(len(data), at + luck.choice((1, 1, 2, 4, 16, 64, 1000)))
    piece = luck.choice(_CHANGES_OF_BYTES)(data[at:to], luck)
    return data[:at] if piece is None else data[:at] + piece + data[to:]


_CHANGES_OF_BYTES: tuple[Callable[[bytes, Random], bytes | None], ...] = (
    lambda piece, luck: bytes(one ^ (1 << luck.randrange(8)) for one in piece[:1]) + piece[1:],
    lambda piece, luck: luck.randbytes(len(piece)),
    lambda piece, luck: luck.randbytes(luck.choice((1, 1, 2, 8, 40))) + piece,
    lambda *_: b"",
    lambda piece, luck: piece * luck.choice((2, 2, 3, 50)),
    lambda piece, luck: bytes([luck.choice((0, 0x20, 0x7F, 0x80, 0xFF, 0x0A))]) * len(piece),
    lambda *_: None,  # what is behind it is left out, too
)


class _Element(NamedTuple):
    tag: int
    content: bytes
    luck: Random
    others: Sequence[bytes]

    @property
    def whole(self) -> bytes:
        return tlv(self.tag, self.content)

    @property
    def another(self) -> bytes:
        return borrowed(self.luck.choice(self.others), self.luck) if self.others else b""


_CHANGES_OF_ELEMENTS: tuple[Callable[[_Element], bytes], ...] = (
    lambda _: b"",
    lambda it: it.whole * it.luck.choice((2, 2, 3, 40, 400)),
    lambda it: tlv(it.luck.choice(_TAGS), it.content),
    lambda it: tlv(it.tag, b""),
    lambda it: it.another,
    lambda it: it.another + it.whole,
    lambda it: tlv(it.luck.choice((0x30, 0x31, 0xA0, _OCTET_STRING)), it.whole),
    lambda it: it.content,
    lambda it: seq(*[it.whole] * it.luck.randrange(4)),
    lambda it: bytes([it.tag]) + it.luck.choice(_WRONG_LENGTHS) + it.content,
    lambda it: bytes([it.tag, 0x84]) + len(it.content).to_bytes(4) + it.content,  # longer than it has to be
    lambda it: bytes([it.tag | _CONSTRUCTED, 0x80]) + it.content + b"\0\0",  # BER: its end tells the length
    *[lambda it: _with_other_content(it.tag, it.content, it.luck)] * 3,
)


def _with_other_content(tag: int, content: bytes, luck: Random) -> bytes:
    known = _KNOWN.get(tag)
    return luck.choice(known) if known and luck.random() < 0.7 else tlv(tag, changed(content, luck))


def borrowed(data: bytes, luck: Random) -> bytes:
    """Return one of the elements in `data`, in whatever depth."""
    elements = list(split(data))
    if not elements:
        return data[:100]
    start, body, end = luck.choice(elements)
    inside = opened(data[start], data[body:end])
    if inside and luck.random() < _INNER:
        return borrowed(inside[0], luck) or data[start:end]
    return data[start:end]


def content(data: bytes) -> bytes:
    """Return what is in the first element of `data`; nothing where there is none."""
    return next((data[body:end] for _, body, end in split(data)), b"")


def parts(data: bytes) -> list[bytes]:
    """Return the elements that fill `data`, whole."""
    return [data[start:end] for start, _, end in split(data)]
