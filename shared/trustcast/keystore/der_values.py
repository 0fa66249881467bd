"""DER as nested values, for structures that are read once, from the outside to the inside.

Whatever is not as it was expected to be is a ValueError, also the unpacking of more or fewer values than there should
be: `oid, parameters = sequence(value)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from trustcast.domain import der

_FEW: Final = 16
_LONGEST_INTEGER: Final = 8


@dataclass(frozen=True, slots=True)
class Value:
    """One element: its tag, and its content without tag and length."""

    tag: int
    content: bytes

    def expect(self, tag: int) -> bytes:
        """The content. Raises ValueError where the tag is another one."""
        if self.tag != tag:
            raise ValueError("another tag is expected here")
        return self.content


def only(data: bytes) -> Value:
    """The one value that `data` is. Raises ValueError for anything before or behind it."""
    (value,) = values(data)
    return value


def values(data: bytes, at_most: int = _FEW) -> list[Value]:
    """The values that fill `data`. Raises ValueError, also where there are more than `at_most`."""
    elements = list(islice(der.inside(data, der.Element(0, 0, 0, len(data))), at_most + 1))
    if len(elements) > at_most:
        raise ValueError("there is more in here than there ever should be")
    return [Value(element.tag, data[element.body : element.end]) for element in elements]


def sequence(value: Value, at_most: int = _FEW) -> list[Value]:
    """The values in a SEQUENCE. Raises ValueError."""
    return values(value.expect(der.SEQUENCE), at_most)


def explicit(value: Value) -> Value:
    """What is inside [0]. Raises ValueError."""
    return only(value.expect(der.CONTEXT_0))


def natural(value: Value) -> int:
    """An INTEGER of 8 octets at most, not negative. Raises ValueError."""
    content = value.expect(der.INTEGER)
    number = int.from_bytes(content, signed=True)
    if not 1 <= len(content) <= _LONGEST_INTEGER or number < 0:
        raise ValueError("a number is not what it can be here")
    return number
