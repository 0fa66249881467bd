"""Just enough DER (X.690) to see the shape of a structure: where its elements begin and end, and their tags.

Values are read by `cryptography`; this is for what it does not tell (inner against outer signature algorithm,
the exact bytes of the public key) and for recognising what must not be looked at any further (private keys).

Of BER only indefinite lengths are understood, and only by who asks for them: PKCS #7 comes so from macOS and Java.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OCTET_STRINGS = 0x24
"""One in parts, which only BER knows (X.690, 8.7.3)."""
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
CONTEXT_1 = 0xA1

MOST_ELEMENTS = 1000
"""Among which the end of an indefinite length is looked for."""

_CONSTRUCTED = 0x20
_LONG_FORM = 0x80
_LONGEST_LENGTH = 4
_INDEFINITE = b"\x80"
_END_OF_CONTENTS = b"\0\0"
_MOST_LEVELS = 8


class IndefiniteLengthError(ValueError):
    """A length that only the end of the content tells (X.690, 8.1.3.6): BER, which DER forbids."""


class Element(NamedTuple):
    """One element of a larger byte string, as offsets into it: `start` at the tag, content from `body` to `end`.

    Behind the content of an indefinite length stand two octets that end it, `closed_by`.
    """

    tag: int
    start: int
    body: int
    end: int
    closed_by: int = 0


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


def has_indefinite_length(data: bytes, at: int = 0) -> bool:
    """Tell whether the element at `at` does not say how long it is."""
    return data[at + 1 : at + 2] == _INDEFINITE


def ber_element(data: bytes, at: int = 0, *, at_most: int = MOST_ELEMENTS) -> Element:
    """The same as `element`, also where the length is indefinite, and those of what is inside (X.690, 8.1.3.6).

    Goes once through what stands on its levels with indefinite lengths, without looking into anything else. Raises
    ValueError where the end is not among the first `at_most` elements, `IndefiniteLengthError` where the length of a
    primitive element is indefinite, or those of more than 8 in each other.
    """
    if not has_indefinite_length(data, at):
        return element(data, at)
    opened, here = 0, at
    for _ in range(at_most):
        if has_indefinite_length(data, here):
            opened, here = opened + 1, here + 2
            if opened > _MOST_LEVELS or not data[here - 2] & _CONSTRUCTED:
                raise IndefiniteLengthError("an indefinite length where none may be")
        elif data[here : here + 2] != _END_OF_CONTENTS:
            here = element(data, here).end
        elif opened > 1:
            opened, here = opened - 1, here + 2
        else:
            return Element(data[at], at, at + 2, here, closed_by=2)
    raise ValueError("no end within reach")


def children(data: bytes, parent: Element) -> list[Element]:
    """The elements inside `parent`; raises ValueError unless they fill it exactly."""
    return list(inside(data, parent))


def inside(data: bytes, parent: Element, *, read: Callable[[bytes, int], Element] = element) -> Iterator[Element]:
    """The same one by one, so that of a hundred thousand empty elements only those cost time that are asked for.

    Each is read by `read`, `element` or `ber_element`.
    """
    at = parent.body
    while at < parent.end:
        found = read(data, at)
        yield found
        at = found.end + found.closed_by
    if at != parent.end or at > len(data):
        raise ValueError("elements do not fill what they are in")
