"""Just enough DER (X.690) to see the shape of a structure: where its elements begin and end, and their tags.

Values are read by `cryptography`; this is for what it does not tell (inner against outer signature algorithm,
the exact bytes of the public key) and for recognising what must not be looked at any further (private keys).
"""

from __future__ import annotations

from dataclasses import dataclass

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
CONTEXT_0 = 0xA0

_LONG_FORM = 0x80
_LONGEST_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a larger byte string, as offsets into it: `start` at the tag, content from `body` to `end`."""

    tag: int
    start: int
    body: int
    end: int


def element(data: bytes, at: int = 0) -> Element:
    """Read the header at `at`; `end` may lie beyond the data. Raises ValueError where there is no header."""
    if len(data) < at + 2:
        raise ValueError("no element here")
    tag, length, body = data[at], data[at + 1], at + 2
    if length & _LONG_FORM:
        size = length - _LONG_FORM
        octets = data[body : body + size]
        if not 1 <= size <= _LONGEST_LENGTH or len(octets) < size:
            raise ValueError("no definite length here")
        length, body = int.from_bytes(octets), body + size
    return Element(tag, at, body, body + length)


def children(data: bytes, parent: Element) -> list[Element]:
    """The elements inside `parent`; raises ValueError unless they fill it exactly."""
    found: list[Element] = []
    at = parent.body
    while at < parent.end:
        found.append(element(data, at))
        at = found[-1].end
    if at != parent.end or at > len(data):
        raise ValueError("elements do not fill what they are in")
    return found
