"""Where the elements of DER begin and end, and of BER what macOS and Java write."""

from __future__ import annotations

import pytest

from trustcast.domain import der
from trustcast.domain.der import Element, IndefiniteLengthError


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def test_tags_are_those_of_x690() -> None:
    universal = (der.INTEGER, der.BIT_STRING, der.OCTET_STRING, der.OBJECT_IDENTIFIER, der.SEQUENCE, der.SET)

    assert universal == (2, 3, 4, 6, 0x30, 0x31)
    assert (der.OCTET_STRINGS, der.CONTEXT_0, der.CONTEXT_1) == (0x24, 0xA0, 0xA1)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("0500", 0, (5, 0, 2, 2)),
        ("ff 0500", 1, (5, 1, 3, 3)),
        ("0203010203 0500", 0, (2, 0, 2, 5)),
        ("047f", 0, (4, 0, 2, 129)),
        ("048100", 0, (4, 0, 3, 3)),
        ("048180", 0, (4, 0, 3, 131)),
        ("04820102", 0, (4, 0, 4, 262)),
        ("0483010203", 0, (4, 0, 5, 66056)),
        ("048401020304", 0, (4, 0, 6, 16909066)),
        ("ffff 04820102 ff", 2, (4, 2, 6, 264)),
    ],
)
def test_header_says_where_the_content_begins_and_ends(text: str, at: int, expected: tuple[int, ...]) -> None:
    assert der.element(_bytes(text), at) == Element(*expected)
    assert der.ber_element(_bytes(text), at) == Element(*expected)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("05", 0),
        ("0500", 1),
        ("0500", 2),
        ("0500", 3),
        ("0481", 0),
        ("048201", 0),
        ("0484010203", 0),
        ("04850000000001 ff", 0),
        ("04ff", 0),
        ("ffff 048201", 2),
    ],
)
def test_where_no_header_is_there_is_no_element(text: str, at: int) -> None:
    for read in (der.element, der.ber_element):
        with pytest.raises(ValueError, match="here") as refused:
            read(_bytes(text), at)
        assert not isinstance(refused.value, IndefiniteLengthError)


def test_indefinite_length_is_told_from_others() -> None:
    with pytest.raises(IndefiniteLengthError):
        der.element(_bytes("3080 0000"))
    assert der.has_indefinite_length(_bytes("3080 0000"))
    assert der.has_indefinite_length(_bytes("ff 3080 0000"), 1)
    assert not der.has_indefinite_length(_bytes("3081 8000"))
    assert not der.has_indefinite_length(_bytes("307f"))
    assert not der.has_indefinite_length(_bytes("80 3000"))
    assert not der.has_indefinite_length(_bytes("30"))


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("3080 0000", 0, (0x30, 0, 2, 2, 2)),
        ("3080 0500 0000 0500", 0, (0x30, 0, 2, 4, 2)),
        ("ff a080 0500 0000 0000", 1, (0xA0, 1, 3, 5, 2)),
        ("3080 3080 0500 0000 0401ff 0000", 0, (0x30, 0, 2, 11, 2)),
        ("3080 0402 0000 0000", 0, (0x30, 0, 2, 6, 2)),  # the zeros of a content are no end
        ("3080 3080 3080 0000 0000 3080 0000 0000", 0, (0x30, 0, 2, 14, 2)),
    ],
)
def test_indefinite_length_ends_with_two_zeros_of_its_own(text: str, at: int, expected: tuple[int, ...]) -> None:
    assert der.ber_element(_bytes(text), at) == Element(*expected)


def test_eight_indefinite_lengths_in_each_other_are_followed_and_a_ninth_is_not() -> None:
    def nested(levels: int) -> bytes:
        return b"\x30\x80" * levels + b"\0\0" * levels

    assert der.ber_element(nested(8)).end == 30
    with pytest.raises(IndefiniteLengthError):
        der.ber_element(nested(9))


def test_any_number_of_indefinite_lengths_may_stand_beside_each_other() -> None:
    assert der.ber_element(b"\x30\x80" + b"\x30\x80\0\0" * 20 + b"\0\0").end == 82


@pytest.mark.parametrize("text", ["0480 0000", "3080 0480 0000 0000", "3080 0080 0000 0000", "8080 0000", "0180 0000"])
def test_primitive_element_has_no_indefinite_length(text: str) -> None:
    with pytest.raises(IndefiniteLengthError):
        der.ber_element(_bytes(text))


def test_end_is_looked_for_among_a_thousand_elements() -> None:
    assert der.ber_element(b"\x30\x80" + b"\x05\x00" * 998 + b"\0\0").end == 1998
    with pytest.raises(ValueError, match="reach"):
        der.ber_element(b"\x30\x80" + b"\x05\x00" * 999 + b"\0\0")


@pytest.mark.parametrize("text", ["3080", "3080 00", "3080 0500", "3080 3080 0000", "3080 05", "3080 0401"])
def test_indefinite_length_without_an_end_is_no_element(text: str) -> None:
    with pytest.raises(ValueError, match="here"):
        der.ber_element(_bytes(text))


def _tags(text: str, parent: Element) -> list[int]:
    return [each.tag for each in der.children(_bytes(text), parent)]


def test_children_are_what_is_inside() -> None:
    assert _tags("3000", Element(0x30, 0, 2, 2)) == []
    assert _tags("3005 0500 0201 01", Element(0x30, 0, 2, 7)) == [5, 2]
    assert der.children(_bytes("ff 3004 0500 0400 ff"), Element(0x30, 1, 3, 7)) == [
        Element(5, 3, 5, 5),
        Element(4, 5, 7, 7),
    ]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("3003 0500 05", 5),  # half a header
        ("3004 0500 0401 ff", 6),  # the last goes on behind its parent
        ("3005 0500 0401", 7),  # and behind the data
        ("3006 0500 0400", 8),  # the parent goes on behind the data
    ],
)
def test_children_that_do_not_fill_their_parent_are_refused(text: str, end: int) -> None:
    with pytest.raises(ValueError, match="element"):
        der.children(_bytes(text), Element(0x30, 0, 2, end))


def test_children_are_read_one_by_one() -> None:
    several = der.inside(_bytes("3004 0500 04ff"), Element(0x30, 0, 2, 6))

    assert next(several) == Element(5, 2, 4, 4)
    with pytest.raises(ValueError, match="here"):
        next(several)


def test_nothing_is_read_behind_the_parent() -> None:
    several = der.inside(_bytes("3003 0500 0401 ff 0500"), Element(0x30, 0, 2, 5))

    assert [next(several).tag, next(several).tag] == [5, 4]
    with pytest.raises(ValueError, match="fill"):
        next(several)


def test_parent_may_be_long() -> None:
    data = _bytes("30820190") + b"\x05\x00" * 200

    assert len(der.children(data, der.element(data))) == 200


def test_children_may_have_indefinite_lengths_for_who_reads_ber() -> None:
    data = _bytes("300a 3080 0500 0000 3080 0000")

    found = list(der.inside(data, Element(0x30, 0, 2, 12), read=der.ber_element))

    assert found == [Element(0x30, 2, 4, 6, 2), Element(0x30, 8, 10, 10, 2)]
    with pytest.raises(IndefiniteLengthError):
        der.children(data, Element(0x30, 0, 2, 12))
