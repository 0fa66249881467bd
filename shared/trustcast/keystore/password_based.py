"""What a password opens in a PKCS12 file: encrypted contents and the MAC, within a budget of time.

Reads the schemes that Java, OpenSSL and Windows write or wrote:

    PBES2 (RFC 8018)       PBKDF2 with HMAC and SHA-1 or SHA-2, AES in CBC mode
    PBES1 of RFC 7292, C   SHA-1, with 3DES of three keys, RC2 of 128 bits, RC2 of 40 bits
    MAC of RFC 7292, B     HMAC with SHA-1 or SHA-2
    PBMAC1 (RFC 9579)      PBKDF2, HMAC with SHA-1 or SHA-2

How often a password is hashed stands in the file, so whoever made it decides what reading it costs: see `Budget`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from trustcast.domain import der
from trustcast.keystore import rc2
from trustcast.keystore.der_values import Value, natural, sequence

MAX_COST: Final = 1_200_000
"""Of one file, in steps of HMAC-SHA-256 (0.2 µs each): 1,200,000 iterations of PBKDF2, or 300,000 of PKCS12's own
derivation. Java wrote up to 100,000 for the MAC and 50,000 for the certificates; with 3DES these count three times."""

_LONGEST_SALT: Final = 1024

_LONGEST_KEY: Final = 64
_OLD_BLOCK: Final = 8
_AES_BLOCK: Final = 16
_FOR_KEY, _FOR_IV, _FOR_MAC = 1, 2, 3

# PKCS12's own derivation is a loop in Python, during which the process' other threads wait; so it takes as much time
# off as it works. With the most iterations at once, a question to the api waits 7 ms instead of 60 (99th percentile).
_LOOP_WEIGHT: Final = 4
_ROUNDS_AT_ONCE: Final = 1000
_REST_SECONDS: Final = 0.0005
_SLOW: Final = frozenset({"sha384", "sha512"})
_SLOW_WEIGHT: Final = 2
_DEFAULT_HMAC: Final = "sha1"

_PBES2: Final = bytes.fromhex("2a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("2a864886f70d01050c")
_PBMAC1: Final = bytes.fromhex("2a864886f70d01050e")
_HASHES: Final = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_HMACS: Final = {
    bytes.fromhex("2a864886f70d0207"): "sha1",
    bytes.fromhex("2a864886f70d0208"): "sha224",
    bytes.fromhex("2a864886f70d0209"): "sha256",
    bytes.fromhex("2a864886f70d020a"): "sha384",
    bytes.fromhex("2a864886f70d020b"): "sha512",
}
_AES_KEY_SIZES: Final = {  # AES in CBC mode
    bytes.fromhex("60864801650304" + "0102"): 16,
    bytes.fromhex("60864801650304" + "0116"): 24,
    bytes.fromhex("60864801650304" + "012a"): 32,
}

T = TypeVar("T")


class UnsupportedError(Exception):
    """The scheme is none of those above."""


class TooCostlyError(Exception):
    """Opening it would take more hashing than there is a budget for."""


class WrongPasswordError(Exception):
    """The password does not open it, or it is damaged: the two look the same."""


@dataclass(slots=True)
class Budget:
    """How much hashing one file may still ask for; attempts with other spellings of a password share it."""

    left: int = MAX_COST

    def spend(self, cost: int) -> None:
        """Take `cost` away before the work is done. Raises `TooCostlyError` where that much is not left."""
        if cost > self.left:
            raise TooCostlyError
        self.left -= cost


@dataclass(frozen=True, slots=True)
class Secret:
    """A password as the two families of schemes spell it; it is in no repr."""

    bmp: bytes = field(repr=False)
    utf8: bytes = field(repr=False)


def spellings(password: str) -> list[Secret]:
    """The ways to spell a password: UTF-16BE with two zero octets behind it (RFC 7292, B.1), and UTF-8.

    For the empty one there are two customs, of which the second leaves the two octets out.
    """
    bmp, utf8 = (password.encode(encoding, "surrogatepass") for encoding in ("utf-16-be", "utf-8"))
    whole = Secret(bmp + b"\0\0", utf8)
    return [whole] if password else [whole, Secret(b"", b"")]


def decrypt(algorithm: Value, ciphertext: bytes, secret: Secret, budget: Budget) -> bytes:
    """Decrypt what an AlgorithmIdentifier describes.

    Raises `UnsupportedError`, `TooCostlyError`, `WrongPasswordError`, ValueError.
    """
    oid, parameters = _algorithm(algorithm)
    if oid == _PBES2:
        return _decrypt_with_pbes2(parameters, ciphertext, secret, budget)
    cipher, key_size = _known(_OLD_CIPHERS, oid)
    salt, iterations = _salt_and_iterations(sequence(parameters))
    key = derive("sha1", secret.bmp, salt, _FOR_KEY, iterations, key_size, budget)
    iv = derive("sha1", secret.bmp, salt, _FOR_IV, iterations, _OLD_BLOCK, budget)
    return _unpadded(ciphertext, _OLD_BLOCK, lambda data: cipher(key, iv, data))


def verify_mac(mac_data: Value, content: bytes, secret: Secret, budget: Budget) -> None:
    """Compare a MacData (RFC 7292, 4) with the MAC of `content`. Raises what `decrypt` raises."""
    digest_info, *salt_and_iterations = sequence(mac_data)
    algorithm, expected = sequence(digest_info)
    oid, *parameters = sequence(algorithm)
    if oid.content == _PBMAC1:
        (pbmac1,) = parameters
        hash_name, key = _pbmac1(pbmac1, secret, budget)
    else:
        hash_name = _known(_HASHES, oid.content)
        salt, iterations = _salt_and_iterations(salt_and_iterations)
        key = derive(hash_name, secret.bmp, salt, _FOR_MAC, iterations, _digest_size(hash_name), budget)
    if not hmac.compare_digest(hmac.digest(key, content, hash_name), expected.expect(der.OCTET_STRING)):
        raise WrongPasswordError


def derive(
    hash_name: str, password: bytes, salt: bytes, purpose: int, iterations: int, size: int, budget: Budget
) -> bytes:
    """RFC 7292, B.2: `size` octets for a key (purpose 1), an IV (2) or a MAC's key (3). Raises `TooCostlyError`."""
    hash_: Callable[..., hashlib._Hash] = getattr(hashlib, hash_name)
    block, digest_size = hash_().block_size, hash_().digest_size
    budget.spend(iterations * -(-size // digest_size) * _LOOP_WEIGHT)
    diversifier, mixed = bytes([purpose]) * block, _repeated(salt, block) + _repeated(password, block)
    derived = b""
    while len(derived) < size:
        digest = hash_(diversifier + mixed).digest()
        for number in range(1, iterations):
            digest = hash_(digest).digest()
            if number % _ROUNDS_AT_ONCE == 0:
                time.sleep(_REST_SECONDS)
        derived += digest
        mixed = _added(mixed, _repeated(digest, block)[:block])
    return derived[:size]


def _repeated(text: bytes, block: int) -> bytes:
    """As often as it takes to fill whole blocks, the last time in part; nothing stays nothing."""
    size = -(-len(text) // block) * block
    return (text * (size // len(text) + 1))[:size] if text else b""


def _added(mixed: bytes, block: bytes) -> bytes:
    """Each block of `mixed` as a number, plus `block`, plus one; what is carried over the top is lost."""
    size, number = len(block), int.from_bytes(block) + 1
    return b"".join(
        ((int.from_bytes(mixed[at : at + size]) + number) % (1 << 8 * size)).to_bytes(size)
        for at in range(0, len(mixed), size)
    )


def _decrypt_with_pbes2(parameters: Value, ciphertext: bytes, secret: Secret, budget: Budget) -> bytes:
    key_derivation, encryption = sequence(parameters)
    oid, iv = _algorithm(encryption)
    key = _pbkdf2(key_derivation, secret, budget, _known(_AES_KEY_SIZES, oid))
    cbc = modes.CBC(iv.expect(der.OCTET_STRING))
    return _unpadded(ciphertext, _AES_BLOCK, lambda data: _decrypted(Cipher(AES(key), cbc), data))


def _pbmac1(parameters: Value, secret: Secret, budget: Budget) -> tuple[str, bytes]:
    key_derivation, scheme = sequence(parameters)
    return _hash_of_hmac(scheme), _pbkdf2(key_derivation, secret, budget)


def _pbkdf2(algorithm: Value, secret: Secret, budget: Budget, key_size: int | None = None) -> bytes:
    """RFC 8018, A.2. Without `key_size` the parameters have to tell it (RFC 9579, 4)."""
    oid, parameters = _algorithm(algorithm)
    if oid != _PBKDF2:
        raise UnsupportedError
    fields = sequence(parameters)
    salt, iterations = _salt_and_iterations(fields[:2])
    told = [natural(field) for field in fields[2:3] if field.tag == der.INTEGER]
    hashes = [_hash_of_hmac(field) for field in fields[2 + len(told) :]]
    size = key_size or (told or [0])[0]
    if told not in ([], [size]) or not 1 <= size <= _LONGEST_KEY:
        raise ValueError("a key of a size that it cannot have here")
    (hash_name,) = hashes or [_DEFAULT_HMAC]
    blocks = -(-size // _digest_size(hash_name))
    budget.spend(iterations * blocks * (_SLOW_WEIGHT if hash_name in _SLOW else 1))
    return hashlib.pbkdf2_hmac(hash_name, secret.utf8, salt, iterations, size)


def _algorithm(value: Value) -> tuple[bytes, Value]:
    """An AlgorithmIdentifier that has parameters."""
    oid, parameters = sequence(value)
    return oid.expect(der.OBJECT_IDENTIFIER), parameters


def _hash_of_hmac(value: Value) -> str:
    oid, *_ = sequence(value)
    return _known(_HMACS, oid.expect(der.OBJECT_IDENTIFIER))


def _known(table: Mapping[bytes, T], oid: bytes) -> T:
    if oid not in table:
        raise UnsupportedError
    return table[oid]


def _salt_and_iterations(fields: list[Value]) -> tuple[bytes, int]:
    """What each derivation begins with; a MAC's iterations may be left out, and are 1 then."""
    salt, *iterations = fields
    (count,) = [natural(field) for field in iterations] or [1]
    if count < 1 or len(salt.expect(der.OCTET_STRING)) > _LONGEST_SALT:
        raise ValueError("no derivation has these parameters")
    return salt.content, count


def _digest_size(hash_name: str) -> int:
    return hashlib.new(hash_name).digest_size


def _unpadded(ciphertext: bytes, block: int, decrypt_blocks: Callable[[bytes], bytes]) -> bytes:
    """Decrypt, and take the padding off (RFC 8018, 6.1.1), by which a wrong password is nearly always noticed."""
    if not ciphertext or len(ciphertext) % block:
        raise ValueError("not in whole blocks")
    data = decrypt_blocks(ciphertext)
    size = data[-1]
    if not 1 <= size <= block or data[-size:] != bytes([size]) * size:
        raise WrongPasswordError
    return data[:-size]


def _decrypted(cipher: Cipher[modes.CBC], data: bytes) -> bytes:
    decryptor = cipher.decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _triple_des(key: bytes, iv: bytes, data: bytes) -> bytes:
    return _decrypted(Cipher(TripleDES(key), modes.CBC(iv)), data)


_OLD_CIPHERS: Final[Mapping[bytes, tuple[Callable[[bytes, bytes, bytes], bytes], int]]] = {
    bytes.fromhex("2a864886f70d010c0103"): (_triple_des, 24),
    bytes.fromhex("2a864886f70d010c0105"): (rc2.decrypt_cbc, 16),
    bytes.fromhex("2a864886f70d010c0106"): (rc2.decrypt_cbc, 5),
}
"""pbeWithSHAAnd3-KeyTripleDES-CBC, 128BitRC2 and 40BitRC2, with the octets of their keys."""
