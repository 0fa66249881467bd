"""Where the line is between what can be a private key, or a piece of one, and what a certificate may look like."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import ec_key, self_signed
from trustcast.domain.private_key import found_in

MADE = self_signed()
BEGIN, *_, END = MADE.pem.splitlines(keepends=True)
KEY = base64.b64encode(ec_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
CUT = b"\xff|\xff|\xff|\xff"


def _sequence(*parts: str) -> bytes:
    content = bytes.fromhex("".join(parts))
    return bytes([0x30, 0x82]) + len(content).to_bytes(2) + content


def _octets(tag: int, size: int) -> str:
    return (bytes([tag, size]) + b"\x55" * size).hex()


def _of_parts(number: int) -> str:
    return "30800601ff" + "0500" * (number - 1) + "0000"


VERSION_0, VERSION_1 = "020100", "020101"
ALGORITHM, NULL, NUMBER = "30030601ff", "0500", "020105"


@pytest.mark.parametrize(
    ("data", "is_key"),
    [
        pytest.param(_sequence(VERSION_0, _octets(2, 32), NUMBER), True, id="modulus of 32 octets"),
        pytest.param(_sequence(VERSION_0, _octets(2, 33), NUMBER), True, id="modulus of 33 octets"),
        pytest.param(_sequence(VERSION_0, _octets(2, 31), NUMBER), False, id="number of 31 octets"),
        pytest.param(_sequence(VERSION_0, _octets(2, 32), NULL), False, id="modulus and no other number"),
        pytest.param(_sequence(VERSION_0, _octets(2, 32)), True, id="modulus, and the rest is missing"),
        pytest.param(_sequence(VERSION_0, NUMBER, NUMBER), False, id="small numbers"),
        pytest.param(_sequence(VERSION_1, _octets(4, 13)), False, id="13 octets"),
        pytest.param(_sequence(VERSION_1, _octets(4, 14)), True, id="14 octets"),
        pytest.param(_sequence(VERSION_1, _octets(4, 72)), True, id="72 octets"),
        pytest.param(_sequence(VERSION_1, _octets(4, 73)), False, id="73 octets"),
        pytest.param(_sequence(VERSION_0, _octets(4, 32)), False, id="octets behind version 0"),
        pytest.param(_sequence(VERSION_0, ALGORITHM, _octets(4, 1)), True, id="PKCS #8"),
        pytest.param(_sequence(VERSION_1, ALGORITHM, _octets(4, 1)), True, id="PKCS #8 with the public key"),
        pytest.param(_sequence(VERSION_0, ALGORITHM, "2400"), True, id="PKCS #8 with octets in parts"),
        pytest.param(_sequence(VERSION_0, ALGORITHM), True, id="PKCS #8 that is cut off"),
        pytest.param(_sequence(VERSION_0, ALGORITHM, NULL), False, id="nothing where the key would be"),
        pytest.param(_sequence(VERSION_1, ALGORITHM, "3000"), False, id="certificate of version 1"),
        pytest.param(_sequence(VERSION_0, "3003050000", _octets(4, 1)), False, id="null where the algorithm would be"),
        pytest.param(_sequence(VERSION_0, "3003070100", _octets(4, 1)), False, id="text where the algorithm would be"),
        pytest.param(_sequence(VERSION_0, "3000", _octets(4, 1)), False, id="no algorithm"),
        pytest.param(_sequence(VERSION_0, "30850000000003", _octets(4, 1)), False, id="no element behind the version"),
        pytest.param(_sequence(VERSION_0, "30800601ff0000", _octets(4, 1)), True, id="algorithm in BER"),
        pytest.param(_sequence(VERSION_0, _of_parts(98), _octets(4, 1)), True, id="algorithm of 98 parts in BER"),
        pytest.param(_sequence(VERSION_0, _of_parts(99), _octets(4, 1)), False, id="more parts than an algorithm has"),
        pytest.param(_sequence(VERSION_0, "30800601ff0000", NULL), False, id="algorithm in BER, and no key"),
        pytest.param(_sequence("020102", ALGORITHM, _octets(4, 1)), False, id="version 2"),
        pytest.param(bytes.fromhex("3080" + VERSION_0 + "3080060155" + "0000" + "0401ff0000"), True, id="all in BER"),
        pytest.param(bytes.fromhex("3080" + VERSION_1 + "3080060155" + "0000" + "30000000"), False, id="none in BER"),
    ],
)
def test_key_is_told_by_its_first_elements(data: bytes, *, is_key: bool) -> None:
    assert found_in(data) is is_key


def test_element_that_ends_where_a_piece_ends_is_cut_off() -> None:
    start = bytes.fromhex("30820100" + VERSION_0 + _octets(2, 32))

    assert found_in(start + CUT)
    assert found_in(start[:-9] + CUT)
    assert not found_in(start + bytes.fromhex(NULL) + CUT)


def test_end_of_another_piece_cuts_nothing_off() -> None:
    certificate = _sequence(VERSION_1, ALGORITHM, "3000")

    assert not found_in(certificate + CUT)
    assert not found_in(certificate + b"\x55" * 500 + CUT)


def test_a_hundred_lookalikes_are_no_certificates() -> None:
    lookalike = _sequence(VERSION_1, ALGORITHM, "3000")

    assert not found_in(lookalike * 99)
    assert found_in(lookalike * 100)


WORD = b"PRIVATE KEY"


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        pytest.param(base64.b64encode(WORD.center(30, b".")), 40, id="base64"),
        pytest.param(WORD.center(32, b".").hex().encode(), 64, id="hexadecimal"),
        pytest.param(WORD.center(32, b".").hex().upper().encode(), 64, id="hexadecimal in capitals"),
    ],
)
def test_run_has_to_be_so_long(text: bytes, shortest: int) -> None:
    assert len(text) == shortest
    for before, after in ((b"", b""), (b"!", b"!"), (b"!" * 3000, b"!" * 3000)):
        assert found_in(before + text + after)
        assert not found_in(before + text[1:] + after)
        assert not found_in(before + text[:-1] + after)


def test_run_beside_a_certificate_may_be_a_last_line() -> None:
    line = base64.b64encode(WORD.ljust(12, b"."))

    assert len(line) == 16
    assert not found_in(line)
    for file in (MADE.pem + line, line + b"\n" + MADE.pem):
        assert found_in(file)
    assert not found_in(MADE.pem + line[:-1])
    assert not found_in(MADE.pem + b"\n" + line[1:])


def _block(text: bytes) -> bytes:
    return BEGIN + text[: len(text) // 4 * 4] + b"\n" + END


@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(bytes.fromhex("3040") + bytes(64), id="a whole element before it"),
        pytest.param(bytes.fromhex("3082ffff") + bytes(62), id="in an element that is cut off"),
        pytest.param(bytes.fromhex("308500000000") + bytes(60), id="behind no element"),
    ],
)
def test_key_is_found_in_a_block_however_it_is_aligned(header: bytes, shift: int) -> None:
    assert len(header) % 3 == 0
    assert found_in(_block(base64.b64encode(header) + b"A" * shift + KEY))


def test_key_is_found_in_a_block_that_is_no_base64() -> None:
    text = b"A" + KEY.rstrip(b"=")

    assert len(text) % 4 == 1
    assert found_in(BEGIN + text + b"\n" + END)


@pytest.mark.parametrize("tag", [0x2F, 0x31])
def test_only_a_sequence_is_sure_to_be_aligned(tag: int) -> None:
    shifted = (b"A" + KEY)[: len(KEY) // 4 * 4]
    length = len(base64.b64decode(shifted)) + 2
    header = bytes([tag, 0x82]) + length.to_bytes(2) + bytes(2)

    assert found_in(_block(base64.b64encode(header) + shifted))


@pytest.mark.parametrize("text", [b"\n" * 64, b"A" * 65, b"A" * 64, b"=".rjust(65, b"A")])
def test_block_that_holds_nothing_to_read_holds_no_key(text: bytes) -> None:
    assert not found_in(BEGIN + text + b"\n" + END)
