"""Files of certificates to begin with, and changes to them: PEM, DER, PKCS #7, chains, and what is none of these.

All of them are the same in each run: one key signs whatever is made here, so whatever was changed can be signed again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import cryptography_vectors
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import key_stores as ks
from tests.certificates import Made, authority, issued, self_signed
from tests.faults import hostile_bodies
from tests.fuzz.readers import elements
from tests.key_stores import tlv
from trustcast.domain import certificate_file

VECTORS = Path(str(cryptography_vectors.__file__)).parent
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
LARGEST = 6000
"""Of what is changed again and again, in bytes; larger files are tried, too, but not as often."""

_ED25519 = bytes.fromhex("300506032b6570")
_BLOCK = re.compile(rb"-----BEGIN ([^-]*)-----\s*([A-Za-z0-9+/=\s]*)-----END \1-----\s*")
_TOKENS = [
    *(f"-----{end} {label}-----\n".encode() for end in ("BEGIN", "END") for label in ("CERTIFICATE", "PKCS7", "CMS")),
    b"-----BEGIN PRIVATE KEY-----\n",
    b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
    b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n" * 70,
    b"-----BEGIN CERTIFICATE-----\n" + b"\n" * 70 + b"-----END CERTIFICATE-----\n",
    b"-----",
    b"\xfe\xed\xfe\xed\0\0\0\1",
    b'{"kty":"EC","d":"',
    b"PuTTY-User-Key-File-2: ",
    b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
]


@cache
def made() -> list[Made]:
    """Certificates for servers and a chain of three, each with something else about it."""
    root, usages = authority(key=KEY, serial=1, not_before=BEGIN), ExtendedKeyUsageOID
    within = x509.NameConstraints([x509.DNSName("example"), x509.UniformResourceIdentifier(".example")], None)
    middle = issued(root, ca=True, common_name="Example CA 2", **_usual(2), extensions=[(within, True)])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    for_servers = x509.ExtendedKeyUsage([usages.SERVER_AUTH, usages.CLIENT_AUTH])
    own_key = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    return [
        root,
        middle,
        issued(middle, **_usual(3), extensions=[(usage, True), (for_servers, False)]),
        self_signed(**_usual(4)),
        self_signed(**_usual(5), ca=True, extensions=[(own_key, False)]),
        self_signed("*.example", **_usual(6), sans=["*.example", "10.0.0.1", "fd00::1"], days=4000),
    ]


@cache
def ders() -> list[bytes]:
    """Certificates in DER: those made here, those of `cryptography`'s tests, and hostile ones."""
    of_vectors = [der for file in _vectors("x509") for _, der in blocks(file)] + [
        file for file in _vectors("x509") if any(True for _ in elements.split(file))
    ]
    return _distinct([*(one.der for one in made()), *of_vectors])


@cache
def files() -> list[bytes]:
    """Files as they are uploaded, of all forms, and of forms that are refused."""
    root, middle, leaf, *_ = loaded = [one.certificate for one in made()]
    bundles = [pkcs7.serialize_certificates([leaf, middle, root], form) for form in (Encoding.PEM, Encoding.DER)]
    chains = [armoured(*(one.der for one in made()[:3])), armoured(*(one.der for one in made()[2::-1]))]
    singles = [one.public_bytes(form) for one in loaded for form in (Encoding.PEM, Encoding.DER)]
    hidden = [base64.b64encode(key) + b"\n" + chains[0] for key in keys()[:4]]
    folders = [file for name in ("x509", "pkcs7", "pkcs12") for file in _vectors(name)]
    return _distinct([*bundles, *chains, *singles, *hidden, *keys(), *folders, *hostile(), *_at_the_borders()])


def _at_the_borders() -> list[bytes]:
    """As many as there may be, one more, two that issued each other beside a third, one that is too large, none."""
    root = made()[0]
    one = issued(root, "a.example", ca=True, **_usual(7))
    other = issued(one, "b.example", ca=True, **_usual(8))
    first = issued(other, "a.example", ca=True, **_usual(9))
    many = [issued(root, f"{number}.example", **_usual(number)).der for number in range(10, 31)]
    large = self_signed(**_usual(6), sans=[f"{number}.example" for number in range(5000)])
    of_nothing = ks.seq(ks.integer(1), ks.tlv(0x31), ks.seq(ks.oid(ks.DATA)), ks.tlv(0x31))
    empty = ks.seq(ks.oid(ks.SIGNED), ks.explicit(of_nothing))
    return [
        armoured(made()[3].der, first.der, other.der),
        armoured(*many[1:]),
        armoured(*many),
        large.der,
        armoured(empty, label=b"PKCS7"),
    ]


@cache
def keys() -> list[bytes]:
    """Private keys in some of the forms that they have."""
    pkcs8 = (KEY.private_bytes(form, PrivateFormat.PKCS8, NoEncryption()) for form in (Encoding.PEM, Encoding.DER))
    openssh = KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return [*pkcs8, openssh, *_vectors("asymmetric/PKCS8"), *_vectors("asymmetric/Traditional_OpenSSL_Serialization")]


@cache
def hostile() -> list[bytes]:
    """What is made to take long; most of it is large, but none is larger than what is read at all."""
    random = {"certificates, all different"}
    whole = (made() for name, made in hostile_bodies.FILES.items() if name not in random)
    return [one for one in whole if len(one) <= certificate_file.MAX_FILE_BYTES]


def mutated(data: bytes, luck: Random) -> bytes:  # noqa: PLR0911 - a way out for each kind of change
    """Return another file: one of its certificates changed, or what is around them, or the form that it has."""
    chance = luck.random()
    if chance < 0.15:
        return elements.changed(data, luck)
    if chance < 0.25:
        at = luck.randint(0, len(data))
        return data[:at] + luck.choice(_TOKENS) + data[at:]
    if chance < 0.3:
        return _otherwise_encoded(data, luck)
    parts = blocks(data)
    if not parts:
        return mutated_certificate(data, luck)
    if chance < 0.45:
        return _put_together([luck.choice(parts) for _ in range(luck.choice((1, 2, 3, 4, 21)))])
    if chance < 0.5:
        return armoured(*(der for _, der in parts), luck.choice(ders()))
    at = luck.randrange(len(parts))
    label, der = parts[at]
    return _put_together([*parts[:at], (label, mutated_certificate(der, luck)), *parts[at + 1 :]])


def mutated_certificate(der: bytes, luck: Random) -> bytes:
    """Return `der` with an element changed; what is signed with Ed25519 is mostly signed again."""
    new = elements.mutated(der, luck, ders())
    return signed_again(new) if luck.random() < 0.8 else new


def signed_again(der: bytes) -> bytes:
    """Return the certificate with a signature that is right, if it is one with Ed25519."""
    match list(elements.split(der)):
        case [(0, body, end)] if end == len(der):
            parts = [der[body:][one:other] for one, _, other in elements.split(der[body:])]
        case _:
            return der
    if len(parts) != 3 or parts[1] != _ED25519:
        return der
    return tlv(der[0], *parts[:2], tlv(0x03, b"\0", KEY.sign(parts[0])))


def armoured(*contents: bytes, label: bytes = b"CERTIFICATE") -> bytes:
    """Return a PEM block of each."""
    return _put_together([(label, content) for content in contents])


def blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the labels and contents of the PEM blocks in `data` that are sound."""
    found = []
    for label, text in _BLOCK.findall(data):
        try:
            found.append((label, base64.b64decode(text)))
        except ValueError:
            continue
    return found


def _put_together(parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = (b"-----BEGIN %b-----\n%b-----END %b-----\n" % (a, base64.encodebytes(der), a) for a, der in parts)
    return b"".join(lines)


def _otherwise_encoded(data: bytes, luck: Random) -> bytes:
    label = luck.choice((b"CERTIFICATE", b"PKCS7", b"CMS", b"X509 CRL", b"PRIVATE KEY"))
    encoding = luck.choice(("utf-16", "utf-16-be", "utf-32-le"))
    forms = (
        base64.b64encode(data),
        base64.urlsafe_b64encode(data),
        data.hex().encode(),
        data.decode("latin-1").encode(encoding),
        data.replace(b"\n", luck.choice((b"\r\n", b"\r", b"", b" \n "))),
        armoured(data, label=label),
        data + luck.choice(keys()),
    )
    return luck.choice(forms)


def _usual(serial: int) -> dict[str, Any]:
    return {"key": KEY, "serial": serial, "not_before": BEGIN}


def _vectors(folder: str) -> Iterator[bytes]:
    for path in sorted((VECTORS / folder).rglob("*")):
        if path.is_file() and path.stat().st_size <= LARGEST:
            yield path.read_bytes()


def _distinct(files: Sequence[bytes]) -> list[bytes]:
    return list(dict.fromkeys(files))
