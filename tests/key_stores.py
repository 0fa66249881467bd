"""PKCS12 files built element by element, so that a test can get any part of one wrong."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

DATA = "2a864886f70d010701"
SIGNED = "2a864886f70d010702"
ENVELOPED = "2a864886f70d010703"
ENCRYPTED = "2a864886f70d010706"

KEY_BAG = "2a864886f70d010c0a0101"
SHROUDED_BAG = "2a864886f70d010c0a0102"
CERTIFICATE_BAG = "2a864886f70d010c0a0103"
CRL_BAG = "2a864886f70d010c0a0104"
SECRET_BAG = "2a864886f70d010c0a0105"
NESTED_BAG = "2a864886f70d010c0a0106"

X509 = "2a864886f70d01091601"
SDSI = "2a864886f70d01091602"
FRIENDLY_NAME = "2a864886f70d010914"

SHA1 = "2b0e03021a"
SHA256 = "608648016503040201"
SHA512 = "608648016503040203"
HMAC_SHA1 = "2a864886f70d0207"
HMAC_SHA256 = "2a864886f70d0209"
HMAC_SHA512 = "2a864886f70d020b"
PBES2 = "2a864886f70d01050d"
PBKDF2 = "2a864886f70d01050c"
PBMAC1 = "2a864886f70d01050e"
AES_128 = "60864801650304" + "0102"
AES_256 = "60864801650304" + "012a"
TRIPLE_DES = "2a864886f70d010c0103"
RC2_40 = "2a864886f70d010c0106"

SALT = b"saltsalt"


def tlv(tag: int, *contents: bytes) -> bytes:
    """One element in DER."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def seq(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def octets(*contents: bytes) -> bytes:
    return tlv(0x04, *contents)


def explicit(*contents: bytes) -> bytes:
    return tlv(0xA0, *contents)


def oid(hexadecimal: str) -> bytes:
    return tlv(0x06, bytes.fromhex(hexadecimal))


def integer(number: int) -> bytes:
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def data(content: bytes) -> bytes:
    """A ContentInfo that is not encrypted."""
    return seq(oid(DATA), explicit(octets(content)))


def encrypted(algorithm: bytes, ciphertext: bytes) -> bytes:
    """A ContentInfo that is."""
    return seq(oid(ENCRYPTED), explicit(seq(integer(0), seq(oid(DATA), algorithm, tlv(0x80, ciphertext)))))


def pfx(*contents: bytes, mac: bytes = b"") -> bytes:
    """A file of these ContentInfos, without a MAC unless one is given."""
    return seq(integer(3), data(seq(*contents)), mac)


def bag(kind: str, value: bytes, *attributes: bytes) -> bytes:
    return seq(oid(kind), explicit(value), *([tlv(0x31, *attributes)] if attributes else []))


def named(name: str | bytes) -> bytes:
    """The attribute friendlyName."""
    encoded = name if isinstance(name, bytes) else name.encode("utf-16-be")
    return seq(oid(FRIENDLY_NAME), tlv(0x31, tlv(0x1E, encoded)))


def certificate_bag(der: bytes, name: str | bytes | None = "backend", kind: str = X509) -> bytes:
    return bag(CERTIFICATE_BAG, seq(oid(kind), explicit(octets(der))), *([] if name is None else [named(name)]))


def trusting(der: bytes, name: str | bytes | None = "backend", mac: bytes = b"") -> bytes:
    """A file of one certificate, neither encrypted nor, unless one is given, with a MAC."""
    return pfx(data(seq(certificate_bag(der, name))), mac=mac)


def mac_asking(iterations: int, hash_oid: str = SHA256, salt: bytes = SALT) -> bytes:
    """A MacData that no password fits."""
    return seq(seq(seq(oid(hash_oid), b"\x05\x00"), octets(bytes(32))), octets(salt), integer(iterations))


def pbkdf2(iterations: int, *optional: bytes, prf: str = HMAC_SHA256) -> bytes:
    return seq(oid(PBKDF2), seq(octets(SALT), integer(iterations), *optional, seq(oid(prf), b"\x05\x00")))


def pbes2(iterations: int, *, prf: str = HMAC_SHA256, cipher: str = AES_256, iv: bytes = bytes(16)) -> bytes:
    return seq(oid(PBES2), seq(pbkdf2(iterations, prf=prf), seq(oid(cipher), octets(iv))))


def pbes1(kind: str, iterations: int) -> bytes:
    return seq(oid(kind), seq(octets(SALT), integer(iterations)))


def encrypted_with(password: str, plain: bytes, *, prf: str = "sha256", iterations: int = 10) -> bytes:
    """A ContentInfo that this password opens: PBES2 with AES-256."""
    padding = 16 - len(plain) % 16
    key = hashlib.pbkdf2_hmac(prf, password.encode(), SALT, iterations, 32)
    encryptor = Cipher(AES(key), modes.CBC(bytes(16))).encryptor()
    hmacs = {"sha1": HMAC_SHA1, "sha256": HMAC_SHA256, "sha512": HMAC_SHA512}
    algorithm = pbes2(iterations, prf=hmacs[prf])
    return encrypted(algorithm, encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize())


def pbmac1(password: str, content: bytes, *, iterations: int = 10, key_size: int = 32) -> bytes:
    """A MacData as in RFC 9579 over the AuthenticatedSafe `content`."""
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, iterations, key_size)
    parameters = seq(pbkdf2(iterations, integer(key_size)), seq(oid(HMAC_SHA256), b"\x05\x00"))
    digest = seq(seq(oid(PBMAC1), parameters), octets(hmac.digest(key, content, "sha256")))
    return seq(digest, octets(b"NOT USED"), integer(1))
