"""Key stores to begin with, and changes to them after which the password still fits.

A PKCS12 file is opened, changed inside and encrypted again, with a MAC that is right; a JKS gets its digest anew.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from functools import cache
from random import Random

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from tests import key_stores as ks
from tests.faults import hostile_bodies
from tests.fuzz.readers import elements
from tests.fuzz.readers.files_of_certificates import VECTORS, ders, made, mutated_certificate
from trustcast.keystore import jks
from trustcast.keystore.password_based import Budget, derive, spellings

PASSWORD = "cryptography"  # most of the files that `cryptography` is tested with have it

_SECRET = spellings(PASSWORD)[0]
_ROUNDS = 10
_SHA256 = ks.seq(ks.oid(ks.SHA256), b"\x05\x00")
_FOR_MAC = 3
_CERTIFICATE_STARTS = b"\x30"
_HEADER, _U2, _U4, _TRUSTED = struct.Struct(">4sII"), struct.Struct(">H"), struct.Struct(">I"), struct.Struct(">IH")
_DIGEST_SIZE = 20
_NAMES = [b"", b"a", b"\xc0\x80", b"\xed\xa0\xbd\xed\xb4\x91", b"\xf0\x9f\x94\x91", b"\xff", b"A" * 300, "ä".encode()]


@cache
def pkcs12_files() -> list[bytes]:
    """As Java and OpenSSL write them, odd ones, and those that are made to take long."""
    leaf, ca = made()[2].der, made()[0].der
    bags = ks.seq(ks.certificate_bag(leaf), ks.certificate_bag(ca, "sécond 🔑"), ks.certificate_bag(ca, None))
    nested = ks.seq(ks.bag(ks.NESTED_BAG, ks.seq(ks.certificate_bag(leaf))))
    safes = [
        ks.seq(ks.data(bags)),
        ks.seq(ks.encrypted_with(PASSWORD, bags, iterations=_ROUNDS)),
        ks.seq(ks.data(nested), ks.encrypted_with(PASSWORD, bags, iterations=_ROUNDS)),
        ks.seq(ks.data(ks.seq(ks.bag(ks.SHROUDED_BAG, ks.seq(ks.pbes2(_ROUNDS), ks.octets(bytes(16))))))),
        ks.seq(_with_triple_des(bags)),
        ks.seq(_with_triple_des(nested), ks.encrypted(ks.pbes1(ks.RC2_40, 5), bytes(64))),
    ]
    plain = [ks.seq(ks.integer(3), ks.data(safe)) for safe in safes]
    with_mac = [ks.seq(ks.integer(3), ks.data(safe), _mac(safe)) for safe in safes]
    with_pbmac1 = [ks.seq(ks.integer(3), ks.data(safe), ks.pbmac1(PASSWORD, safe)) for safe in safes]
    many = [ks.pfx(ks.data(ks.seq(*[ks.certificate_bag(b"0\0")] * number))) for number in (1000, 1001)]
    vectors = [path.read_bytes() for path in sorted((VECTORS / "pkcs12").rglob("*")) if path.is_file()]
    return [*plain, *with_mac, *with_pbmac1, *vectors, *many, *_hostile()]


@cache
def jks_files() -> list[bytes]:
    """Of one entry and several, with odd names, with a private key, and broken."""
    entries = [jks.trusted_entry(name, one.der) for name, one in zip("abcdef", made(), strict=True)]
    odd = [jks.trusted_entry(name, made()[0].der, made_ms=0) for name in ("", "sécond 🔑", "\0", "x" * 300)]
    key = b"\0\0\0\1\0\3key" + bytes(8) + b"\0\0\0\7ENCRYPT\0\0\0\1\0\5X.509" + _U4.pack(3) + b"0\x01\0"
    stores = [entries[:1], entries, [*odd, *entries], [], [*entries, jks.RawEntry("key", key)], entries[:1] * 3]
    whole = [jks.write(store, PASSWORD) for store in stores]
    return [*whole, whole[1] + b"behind", whole[1][:-30], whole[0][:-1] + b"\0", *_hostile()[-1:]]


def mutated_pkcs12(data: bytes, luck: Random) -> bytes:
    """Return `data` with something in it changed, mostly with a MAC that is right."""
    if luck.random() < 0.05:
        return elements.changed(data, luck)
    new = elements.mutated(data, luck, [*pkcs12_files()[:20], *ders()[:20]], _opener(luck))
    return with_mac(new) if luck.random() < 0.9 else new


def mutated_jks(data: bytes, luck: Random) -> bytes:
    """Return `data` with an entry, or any bytes, changed, mostly with a digest that is right."""
    if data[:2] != b"\xfe\xed" or luck.random() < 0.05:
        return elements.changed(data, luck)
    body = data[:-_DIGEST_SIZE]
    parts = list(_entries(body))
    if not parts or luck.random() < 0.3:
        return _with_digest(elements.changed(body, luck))
    at = luck.randrange(len(parts))
    new = [*parts[:at], *_changed_entry(parts, at, luck), *parts[at + 1 :]]
    count = len(new) + luck.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 2**31))
    changed = _with_digest(_HEADER.pack(data[:4], 2, count % 2**32) + b"".join(new))
    return changed if luck.random() < 0.9 else changed + luck.randbytes(3)


def with_mac(data: bytes) -> bytes:
    """Return the PKCS12 file with the MAC that it should have, if it is one of the two kinds made here."""
    match list(elements.parts(elements.content(data))):
        case [version, safe, mac] if safe[-1:] and len(elements.parts(elements.content(safe))) == 2:
            content = elements.content(elements.content(elements.parts(elements.content(safe))[1]))
        case _:
            return data
    if bytes.fromhex(ks.PBMAC1) in mac:
        right = ks.pbmac1(PASSWORD, content)
        return ks.tlv(data[0], version, safe, right) if mac[:60] == right[:60] else data
    right = _mac(content)
    same = mac[-len(ks.SALT) - 5 :] == right[-len(ks.SALT) - 5 :] and mac[:20] == right[:20]
    return ks.tlv(data[0], version, safe, right) if same else data


def _opener(luck: Random) -> elements.Opener:
    """Certificates are changed as such; what the password opens is opened, and encrypted again."""

    def opener(tag: int, content: bytes) -> elements.Inside | None:
        if tag == 0x30 and content.startswith(ks.oid(ks.DATA) + ks.pbes2(_ROUNDS)):
            return _decrypted(content)
        if tag == 0x04 and content[:1] == _CERTIFICATE_STARTS and luck.random() < 0.5:
            return b"", lambda _: ks.octets(mutated_certificate(content, luck))
        return None

    return opener


def _decrypted(content: bytes) -> elements.Inside | None:
    ciphertext = b"".join(map(elements.content, elements.parts(content)[2:]))
    key = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), ks.SALT, _ROUNDS, 32)
    if len(ciphertext) % 16 or not ciphertext:
        return None
    decryptor = Cipher(AES(key), modes.CBC(bytes(16))).decryptor()
    plain = decryptor.update(ciphertext) + decryptor.finalize()

    def put_back(inner: bytes) -> bytes:
        whole = ks.encrypted_with(PASSWORD, inner, iterations=_ROUNDS)
        return elements.parts(elements.content(elements.content(elements.parts(elements.content(whole))[1])))[1]

    return plain[: -plain[-1]], put_back


def _mac(content: bytes) -> bytes:
    key = derive("sha256", _SECRET.bmp, ks.SALT, _FOR_MAC, _ROUNDS, 32, Budget())
    digest = hmac.digest(key, content, "sha256")
    return ks.seq(ks.seq(_SHA256, ks.octets(digest)), ks.octets(ks.SALT), ks.integer(_ROUNDS))


def _with_triple_des(plain: bytes) -> bytes:
    """A ContentInfo as Java wrote it for long."""
    key, iv = (derive("sha1", _SECRET.bmp, ks.SALT, use, 5, size, Budget()) for use, size in ((1, 24), (2, 8)))
    padding = 8 - len(plain) % 8
    encryptor = Cipher(TripleDES(key), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    return ks.encrypted(ks.pbes1(ks.TRIPLE_DES, 5), ciphertext)


def _hostile() -> list[bytes]:
    stores = {name: made for name, made in hostile_bodies.STORES.items() if "that is allowed" not in name}
    return [made() for made in stores.values()]


def _entries(body: bytes) -> Iterator[bytes]:
    """The trusted certificates of a JKS, as far as they can be found."""
    at = _HEADER.size
    while at + _TRUSTED.size <= len(body):
        start = at
        at += _TRUSTED.size + _TRUSTED.unpack_from(body, at)[1] + 8 + 7
        if at + 4 > len(body):
            return
        at += 4 + _U4.unpack_from(body, at)[0]
        yield body[start:at]


def _changed_entry(parts: list[bytes], at: int, luck: Random) -> list[bytes]:
    one = parts[at]
    tag, size = _TRUSTED.unpack_from(one)
    name, rest = one[_TRUSTED.size : _TRUSTED.size + size], one[_TRUSTED.size + size :]
    date, certificate = rest[:8], rest[19:]
    match luck.randrange(9):
        case 0:
            return []
        case 1:
            return [one] * luck.choice((2, 2, 30))
        case 2:
            return [one, luck.choice(parts)]
        case 3:
            name = luck.choice(_NAMES)
        case 4:
            name = elements.changed(name, luck)[:0xFFFF]
        case 5:
            tag = luck.choice((0, 1, 1, 2, 3, 0xFFFFFFFF))
        case 6:
            return [elements.changed(one, luck)]
        case 7:
            date, certificate = luck.randbytes(8), luck.choice(ders())
        case _:
            certificate = mutated_certificate(certificate, luck)
    kind = b"X.509" if luck.random() < 0.95 else luck.choice((b"", b"X.508", b"PGP"))
    parts_of_entry = (_TRUSTED.pack(tag, len(name)), name, date, _U2.pack(len(kind)), kind)
    return [b"".join((*parts_of_entry, _U4.pack(len(certificate)), certificate))]


def _with_digest(body: bytes) -> bytes:
    words = PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
    return body + hashlib.sha1(words + body, usedforsecurity=False).digest()
