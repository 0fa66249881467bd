"""Java key stores of type JKS, version 2: bytes <-> entries.

    u4 0xFEEDFEED, u4 2, u4 count, entries, 20-byte SHA-1

All numbers are big-endian. The digest covers the password as UTF-16BE, the words `Mighty Aphrodite`
and everything before it (sun.security.provider.JavaKeyStore). An entry:

    trusted certificate  u4 2, UTF alias, u8 milliseconds, UTF "X.509", u4 length, DER
    private key          u4 1, UTF alias, u8 milliseconds, u4 length, EncryptedPrivateKeyInfo,
                         u4 chain length, (UTF type, u4 length, DER)*

"UTF" is what java.io.DataOutput.writeUTF writes: u2 length and modified UTF-8.

`read` and `write` are ours; entries pass through them as the bytes they are. `second_reading` is pyjks,
so that what is reported about a file was not read by the code that wrote it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import jks

from trustcast.domain.errors import TrustcastError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC: Final = b"\xfe\xed\xfe\xed"
_VERSION: Final = 2
_HEADER: Final = struct.Struct(">4sII")
_U2: Final = struct.Struct(">H")
_U4: Final = struct.Struct(">I")
_U8: Final = struct.Struct(">Q")
_DIGEST_SIZE: Final = 20

_PRIVATE_KEY: Final = 1
_TRUSTED: Final = 2
# Fixed, so that the same entries are the same bytes; odd, so that it tells our entries from everybody else's.
# Java and keytool carry it through when they rewrite a keystore, and show it as 1 January 2026.
_OUR_MILLISECONDS: Final = 1_767_225_600_739
_LONGEST_UTF: Final = 0xFFFF


class KeystoreError(TrustcastError):
    """These bytes are not a JKS that can be read.

    Codes: `keystore_not_jks`, `keystore_version`, `keystore_truncated`, `keystore_password`, `keystore_entry`,
    `keystore_alias`.
    """


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry; `raw` is all of it, from its tag to its last byte, and is never taken apart to be written."""

    alias: str
    raw: bytes

    @property
    def certificate(self) -> bytes | None:
        """The DER of a trusted certificate; None for a private key."""
        if self._number(_U4, 0) != _TRUSTED:
            return None
        cert_type = self._after_alias() + _U8.size
        return self.raw[cert_type + _U2.size + self._number(_U2, cert_type) + _U4.size :]

    @property
    def is_ours(self) -> bool:
        """Whether `trusted_entry` made it: the timestamp says so. Everything else in a gateway's file is foreign."""
        return self._number(_U4, 0) == _TRUSTED and self._number(_U8, self._after_alias()) == _OUR_MILLISECONDS

    def _after_alias(self) -> int:
        return _U4.size + _U2.size + self._number(_U2, _U4.size)

    def _number(self, struct_: struct.Struct, at: int) -> int:
        return int(struct_.unpack_from(self.raw, at)[0])


def trusted_entry(alias: str, der: bytes, *, made_ms: int = _OUR_MILLISECONDS) -> RawEntry:
    """Make the entry that trusts the certificate `der` under the alias in lower case.

    Java looks entries up in lower case and silently trusts nothing under any other spelling. `made_ms` is the entry's
    date in milliseconds since 1970; give one only for an entry that shall count as foreign.
    Raises `KeystoreError` (`keystore_alias`) for an alias of more than 65,535 bytes.
    """
    alias = alias.lower()
    raw = _U4.pack(_TRUSTED), _utf(alias), _U8.pack(made_ms), _utf("X.509"), _U4.pack(len(der)), der
    return RawEntry(alias, b"".join(raw))


def write(entries: Iterable[RawEntry], password: str) -> bytes:
    """Return the entries as a JKS, in the order given. Same entries and password, same bytes."""
    raws = [entry.raw for entry in entries]
    header, digest = _HEADER.pack(_MAGIC, _VERSION, len(raws)), _seed(password)
    for part in (header, *raws):  # one by one, so that a large keystore is in memory once
        digest.update(part)
    return b"".join((header, *raws, digest.digest()))


def read(data: bytes, password: str) -> list[RawEntry]:
    """Return the entries of a JKS, in their order. Bytes after its digest are ignored, as Java does.

    Raises `KeystoreError`.
    """
    count = _count(data)
    entries = []
    at = _HEADER.size
    try:
        for _ in range(count):
            entry, at = _entry(data, at)
            entries.append(entry)
    except struct.error:
        raise _truncated() from None
    _check_digest(data, at, password)
    return entries


def holds_private_key(data: bytes) -> bool:
    """Tell whether a JKS, be it damaged or cut off, has an entry of a private key; no password is needed for that."""
    at = _HEADER.size
    try:
        for _ in range(_count(data)):
            if _U4.unpack_from(data, at)[0] == _PRIVATE_KEY:
                return True
            at = _entry(data, at)[1]
    except (KeystoreError, struct.error):
        return False  # nothing behind this can be read
    return False


def second_reading(data: bytes, password: str) -> dict[str, str]:
    """Return what pyjks finds in a JKS: alias -> certificate SHA-256 (64 lower hex), trusted entries only.

    Raises `KeystoreError`.
    """
    _count(data)
    try:
        store = _Pyjks.loads(memoryview(data), password, try_decrypt_keys=False)
    except jks.KeystoreSignatureException:
        raise _wrong_password() from None
    except jks.KeystoreException:
        raise KeystoreError("keystore_entry", "A second reader (pyjks) cannot read this keystore.") from None
    return {alias: hashlib.sha256(entry.cert).hexdigest() for alias, entry in store.certs.items()}


class _Pyjks(jks.KeyStore):  # type: ignore[misc]
    """pyjks, but for aliases: it takes Java's modified UTF-8 for plain UTF-8, and fails on an emoji in one.

    `data` is a view, so that its slices are no copies: they are most of what reading takes in memory.
    """

    @classmethod
    def _read_utf(cls, data: memoryview, pos: int, kind: str | None = None) -> tuple[str, int]:  # noqa: ARG003
        end = pos + _U2.size + int(_U2.unpack_from(data, pos)[0])
        return _text(bytes(data[pos + _U2.size : end])), end


def _count(data: bytes) -> int:
    if data[:4] != _MAGIC:
        if _MAGIC.startswith(data[:4]):
            raise _truncated()
        raise KeystoreError("keystore_not_jks", _not_jks(data))
    if len(data) < _HEADER.size + _DIGEST_SIZE:
        raise _truncated()
    _, version, count = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise KeystoreError("keystore_version", "The keystore is a JKS of another version than 2.")
    return int(count)


def _entry(data: bytes, start: int) -> tuple[RawEntry, int]:
    """Return the entry that begins at `start`, and where it ends."""
    tag = _U4.unpack_from(data, start)[0]
    size = _U2.unpack_from(data, start + 4)[0]
    after_alias = start + 6 + size
    if tag == _TRUSTED:
        end = _after_certificate(data, after_alias + 8)
    elif tag == _PRIVATE_KEY:
        end = _after_chain(data, _after_block(data, after_alias + 8))
    else:
        raise KeystoreError(
            "keystore_entry", "The keystore holds an entry that is neither a certificate nor a private key."
        )
    if end > len(data):
        raise _truncated()
    return RawEntry(_text(data[start + 6 : after_alias]), data[start:end]), end


def _after_block(data: bytes, at: int) -> int:
    return at + 4 + int(_U4.unpack_from(data, at)[0])


def _after_certificate(data: bytes, at: int) -> int:
    return _after_block(data, at + 2 + int(_U2.unpack_from(data, at)[0]))


def _after_chain(data: bytes, at: int) -> int:
    length = int(_U4.unpack_from(data, at)[0])
    at += 4
    for _ in range(length):
        at = _after_certificate(data, at)
    return at


def _seed(password: str) -> hashlib._Hash:
    # The format knows only SHA-1. It finds damage; against an attacker it protects nothing.
    return hashlib.sha1(password.encode("utf-16-be", "surrogatepass") + b"Mighty Aphrodite", usedforsecurity=False)


def _check_digest(data: bytes, end: int, password: str) -> None:
    found = data[end : end + _DIGEST_SIZE]
    if len(found) < _DIGEST_SIZE:
        raise _truncated()
    digest = _seed(password)
    digest.update(memoryview(data)[:end])
    if digest.digest() != found:
        raise _wrong_password()


def _utf(text: str) -> bytes:
    """Encode as java.io.DataOutput.writeUTF does: U+0000 in two bytes, beyond U+FFFF as two surrogates."""
    encoded = _ASTRAL.sub(_surrogates, text).encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
    if len(encoded) > _LONGEST_UTF:
        raise KeystoreError("keystore_alias", "An alias is longer than a Java keystore can hold.")
    return _U2.pack(len(encoded)) + encoded


def _text(encoded: bytes) -> str:
    """Decode modified UTF-8; what Java would refuse (and with it the whole keystore) is refused."""
    if encoded.isascii():
        return encoded.decode("ascii")
    try:
        text = encoded.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = "\U0010ffff"
    if _ASTRAL.search(text):
        raise KeystoreError(
            "keystore_alias", "An alias in the keystore is not in Java's modified UTF-8; Java cannot load it either."
        )
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")


def _surrogates(match: re.Match[str]) -> str:
    high, low = struct.unpack(">HH", match[0].encode("utf-16-be"))
    return chr(high) + chr(low)


def _truncated() -> KeystoreError:
    return KeystoreError("keystore_truncated", "The keystore ends in the middle.")


def _wrong_password() -> KeystoreError:
    return KeystoreError("keystore_password", "The password does not open the keystore, or the keystore is damaged.")


def _not_jks(data: bytes) -> str:
    if data[:1] == b"\x30":
        return "The file is a PKCS12 keystore, not a JKS; convert it with keytool -importkeystore -deststoretype JKS."
    return "The file is not a JKS keystore."
