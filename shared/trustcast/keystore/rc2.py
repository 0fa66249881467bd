"""RC2 (RFC 2268): the cipher of the certificates in PKCS12 files that Java 8 and OpenSSL 1 wrote, mostly with 40 bits.

Only decryption, since nothing here is ever written with it. OpenSSL has RC2 in a "legacy" provider that need not be
there, and `cryptography` only with 128 bits.

One block after the other would take Python 0.7 s for 256 KB. In CBC mode no block waits for another's plaintext, so
all are decrypted at once: a large number holds one 16-bit word of every block, each in a lane of 64 bits.
"""

from __future__ import annotations

import struct
from typing import Final

BLOCK: Final = 8
"""Octets."""

_LANE_BITS: Final = 64
_ROTATIONS: Final = (1, 2, 3, 5)
_ROUNDS: Final = (5, 6, 5)
_KEY_OCTETS: Final = 128
# More than what is ever subtracted from a word, so that no lane borrows from the next; a multiple of 2**16.
_NO_BORROW: Final = 0x40000

# RFC 2268, section 2
_PI_TABLE: Final = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def decrypt_cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks; the effective size of the key is that of `key`. Padding stays where it is."""
    lanes = _Lanes(len(data) // BLOCK)
    ciphertext = int.from_bytes(data, "little")
    words = [ciphertext >> 16 * number & lanes.each(0xFFFF) for number in range(4)]
    _decrypt(words, _expanded(key), lanes)
    plain = sum(word << 16 * number for number, word in enumerate(words))
    before = int.from_bytes((iv + data)[: len(data)], "little")
    return (plain ^ before).to_bytes(len(data), "little")


class _Lanes:
    """As many lanes as there are blocks."""

    def __init__(self, count: int) -> None:
        self._pattern = struct.Struct(f"<{count}Q")
        self._ones = int.from_bytes(bytes([1, *bytes(BLOCK - 1)]) * count, "little")

    def each(self, number: int) -> int:
        """The same number in every lane."""
        return self._ones * number

    def looked_up(self, table: list[int], lanes: int) -> int:
        """What the table has at each lane's number."""
        numbers = self._pattern.unpack(lanes.to_bytes(self._pattern.size, "little"))
        return int.from_bytes(self._pattern.pack(*map(table.__getitem__, numbers)), "little")


def _expanded(key: bytes) -> list[int]:
    """The 64 words that one key becomes."""
    octets = bytearray(key)
    for number in range(_KEY_OCTETS - len(key)):
        octets.append(_PI_TABLE[(octets[-1] + octets[number]) & 0xFF])
    octets[_KEY_OCTETS - len(key)] = _PI_TABLE[octets[_KEY_OCTETS - len(key)]]
    for number in reversed(range(_KEY_OCTETS - len(key))):
        octets[number] = _PI_TABLE[octets[number + 1] ^ octets[number + len(key)]]
    return list(struct.unpack("<64H", octets))


def _decrypt(words: list[int], key: list[int], lanes: _Lanes) -> None:
    """Do all rounds backwards, in place: the mixing ones, and between them two that mash."""
    left = list(key)
    for number, rounds in enumerate(_ROUNDS):
        if number:
            _unmash(words, key, lanes)
        for _ in range(rounds):
            _unmix(words, left, lanes)


def _unmix(words: list[int], left: list[int], lanes: _Lanes) -> None:
    full = lanes.each(0xFFFF)
    for i in reversed(range(4)):
        turned = (words[i] >> _ROTATIONS[i] | words[i] << 16 - _ROTATIONS[i]) & full
        chosen = (words[i - 1] & words[i - 2]) + (words[i - 3] & (words[i - 1] ^ full))
        words[i] = (turned + lanes.each(_NO_BORROW - left.pop()) - chosen) & full


def _unmash(words: list[int], key: list[int], lanes: _Lanes) -> None:
    for i in reversed(range(4)):
        added = lanes.looked_up(key, words[i - 1] & lanes.each(0x3F))
        words[i] = (words[i] + lanes.each(_NO_BORROW) - added) & lanes.each(0xFFFF)
