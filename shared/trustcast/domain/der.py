"""Just enough DER (X.690) to see the shape of a structure: where its elements begin and end, and their tags.

Values are read by `cryptography`; this is for what it does not tell (inner against outer signature algorithm,
the exact bytes of the public key) and for recognising what must not be looked at any further (private keys).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
CONTEXT_1 = 0xA1

_LONG_FORM = 0x80
_LONGEST_LENGTH = 4


class IndefiniteLengthError(ValueError):
    """A length that only the end of the content tells (X.690, 8.1.3.6): BER, which DER forbids."""


class Element(NamedTuple):
    """One element of a larger byte string, as offsets into it: `start` at the tag, content from `body` to `end`."""

    tag: int
    start: int
    body: int
    end: int


def element(data: bytes, at: int = 0) -> Element:
    """Read the header at `at`; `end` may lie beyond the data.

    Raises ValueError where there is no header, `IndefiniteLengthError` where it gives no length.
    """
    if len(data) < at + 2:
        raise ValueError("no element here")
    tag, length, body = data[at], data[at + 1], at + 2
    if length & _LONG_FORM:
        size = length - _LONG_FORM
        if not size:
            raise IndefiniteLengthError("no definite length here")
        octets = data[body : body + size]
        if size > _LONGEST_LENGTH or len(octets) < size:
            raise ValueError("no length that fits here")
        length, body = int.from_bytes(octets), body + size
    return Element(tag, at, body, body + length)


def children(data: bytes, parent: Element) -> list[Element]:
    """The elements inside `parent`; raises ValueError unless they fill it exactly."""
    return list(inside(data, parent))


def inside(data: bytes, parent: Element) -> Iterator[Element]:
    """The same one by one, so that of a hundred thousand empty elements only those cost time that are asked for."""
    at = parent.body
    while at < parent.end:
        found = element(data, at)
        yield found
        at = found.end
    if at != parent.end or at > len(data):
        raise ValueError("elements do not fill what they are in")
