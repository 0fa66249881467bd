"""Private keys in the forms in which they are pasted by mistake, and a search that no encoding hides them from."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import ObjectIdentifier, UnrecognizedExtension

from tests import key_stores
from tests.certificates import self_signed
from trustcast.keystore import jks

PASSWORD = "changeit"
_WINDOW = 16
_OCTETS_IN_A_LINE = 15
_PRINTED_OF_RSA = ("privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient")
_COMMENT = ObjectIdentifier("2.16.840.1.113730.1.13")
_SPOILT = re.compile(rb"[\0\t\n\r'\"%\\]")  # what stands otherwise where bytes are shown as text
_SHOWN = re.compile(rb"(?:\\+x|\\+u00|%)([0-9A-Fa-f]{2})")

Key = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class Leak:
    """A private key as somebody may send it: as a text, and as files; `secrets` are what nobody may find again."""

    text: str
    files: tuple[bytes, ...]
    secrets: tuple[bytes, ...]


def forms() -> dict[str, Leak]:
    """Each form with a key of its own; in an alias, an endpoint and a line, beside, any of them may stand."""
    made = self_signed()
    certificate = made.pem
    return {
        "PKCS#8": _leak(self_signed().key, PrivateFormat.PKCS8),
        "PKCS#1": _leak(generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL),
        "SEC1": _leak(self_signed().key, PrivateFormat.TraditionalOpenSSL),
        "OpenSSH": _leak(self_signed().key, PrivateFormat.OpenSSH),
        "encrypted PKCS#8": _leak(self_signed().key, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())),
        "PKCS12": _store(_pkcs12),
        "JKS": _store(_jks),
        "text around": _around(b"Dear colleagues,\r\n\r\nhere it is:\r\n> ", b"\r\nYours\r\n"),
        "before a certificate": _around(b"", certificate),
        "after a certificate": _around(certificate, b""),
        "in a comment of a certificate": _in_a_comment(),
        "as openssl prints it": _printed(certificate),
        "in an alias": _short("backend-{}"),
        "in an endpoint": _short("https://backend.example/{}"),
        "in a line": _short('{{"alias": "backend", "certificate": "{}"}}'),
    }


def printed(key: Key) -> str:
    """Show the private numbers of a key as `openssl pkey -text` does: names, and octets in lines of 15."""
    names = _PRINTED_OF_RSA if isinstance(key, RSAPrivateKey) else ("priv",)
    numbers = zip(names, _secrets(key), strict=True)
    return "Private-Key:\n" + "".join(f"{name}:\n{_in_lines(octets)}" for name, octets in numbers)


def _in_lines(octets: bytes) -> str:
    lines = (octets[at : at + _OCTETS_IN_A_LINE].hex(":") for at in range(0, len(octets), _OCTETS_IN_A_LINE))
    return "    " + ":\n    ".join(lines) + "\n"


def needles(secret: bytes) -> list[bytes]:
    """Return what can be found where `secret` is kept: pieces of it in binary, base64 of both kinds, hex and UTF-8.

    Base64 is tried at each alignment, hex also with colons; pieces are so short and so many that one of them stands on
    one line.
    """
    found = set()
    for at in range(0, min(len(secret) - _WINDOW + 1, 5 * _WINDOW), _WINDOW):
        piece = secret[at : at + _WINDOW]
        if not _SPOILT.search(piece):
            found |= {piece, piece.decode("latin-1").encode()}
        found |= {piece.hex().encode(), piece.hex().upper().encode()}
        found |= {half.hex(":").encode() for half in (piece[: _WINDOW // 2], piece[_WINDOW // 2 :])}
        for before in range(3):
            text = base64.b64encode(bytes(before) + piece).rstrip(b"=")
            whole = text[(0, 2, 3)[before] : (before + _WINDOW) * 8 // 6]
            found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return sorted(found)


def places_of(needles: Iterable[bytes], haystacks: Iterable[tuple[str, bytes]]) -> set[str]:
    """Return the names of those haystacks that hold one of the needles, also in UTF-16 and escaped."""
    wanted = list(needles)
    return {name for name, data in haystacks for form in _readings(data) if any(needle in form for needle in wanted)}


def _readings(data: bytes) -> Iterator[bytes]:
    plain = data.replace(b"\0", b"")
    yield plain
    if (shown := _SHOWN.sub(lambda byte: bytes.fromhex(byte[1].decode()), plain)) != plain:
        yield shown


def _leak(key: Key, form: PrivateFormat, encryption: KeySerializationEncryption | None = None) -> Leak:
    encryption = encryption or NoEncryption()
    pem = key.private_bytes(Encoding.PEM, form, encryption)
    if form is PrivateFormat.OpenSSH:
        return Leak(pem.decode(), (pem,), _secrets(key))
    der = key.private_bytes(Encoding.DER, form, encryption)
    hidden = () if isinstance(encryption, NoEncryption) else (der[-96:],)
    return Leak(pem.decode(), (pem, der), _secrets(key) + hidden)


def _around(before: bytes, after: bytes) -> Leak:
    key = self_signed().key
    pem = before + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + after
    return Leak(pem.decode(), (pem,), _secrets(key))


def _in_a_comment() -> Leak:
    """In base64, inside the certificate: that is base64 in base64 where the certificate is in PEM."""
    key = generate_private_key(65537, 2048)
    comment = base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    made = self_signed(extensions=[(UnrecognizedExtension(_COMMENT, comment), False)])
    return Leak(made.pem.decode(), (made.pem, made.der), _secrets(key))


def _printed(certificate: bytes) -> Leak:
    key = self_signed().key
    text = printed(key)
    return Leak(text, (text.encode(), text.encode() + certificate), _secrets(key))


def _short(around: str) -> Leak:
    """One that is short and plain enough for most names."""
    key = Ed25519PrivateKey.generate()
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = around.format(base64.urlsafe_b64encode(der).decode())
    return Leak(text, (text.encode(), json.dumps(text).encode()), _secrets(key))


def _store(made: Callable[[bytes], bytes]) -> Leak:
    """A key store as a file, and in base64 where a text is asked for."""
    key = self_signed().key
    shrouded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    data = made(shrouded)
    return Leak(base64.b64encode(data).decode(), (data,), (*_secrets(key), shrouded[-96:]))


def _pkcs12(shrouded: bytes) -> bytes:
    bag = key_stores.bag(key_stores.SHROUDED_BAG, shrouded, key_stores.named("backend"))
    return key_stores.pfx(key_stores.data(key_stores.seq(bag)))


def _jks(shrouded: bytes) -> bytes:
    number = (1).to_bytes(4)
    raw = number + b"\0\x07backend" + bytes(8) + len(shrouded).to_bytes(4) + shrouded + bytes(4)
    return jks.write([jks.RawEntry("backend", raw)], PASSWORD)


def _secrets(key: Key) -> tuple[bytes, ...]:
    if isinstance(key, Ed25519PrivateKey):
        return (key.private_bytes_raw(),)
    if isinstance(key, RSAPrivateKey):
        own = key.private_numbers()
        numbers = (own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp)
        return tuple(one.to_bytes((one.bit_length() + 7) // 8) for one in numbers)
    return (key.private_numbers().private_value.to_bytes(32),)
