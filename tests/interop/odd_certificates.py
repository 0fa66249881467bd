"""Certificates that are odd in one place, in DER, most of which no issuer would make and `cryptography` reads.

Each content of an extension comes critical and not critical; the name says what is odd.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, ObjectIdentifier

from tests.certificates import authority, issued, rsa_key, self_signed
from trustcast.domain import certificate_file
from trustcast.domain import der as asn1
from trustcast.domain.errors import Rejected

HOST = "backend.example"
VECTORS = Path(str(cryptography_vectors.__file__)).parent / "x509"
BIG = {"2^31-1": 2**31 - 1, "2^31": 2**31, "2^40": 2**40, "2^63-1": 2**63 - 1, "-1": -1}


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    return bytes([tag, length] if length < 0x80 else [tag, 0x82, *length.to_bytes(2)]) + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(number: int, tag: int = 0x02) -> bytes:
    return tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def oid(dotted: str) -> bytes:
    first, second, *others = map(int, dotted.split("."))
    octets = [40 * first + second]
    for other in others:
        septets = [other >> shift & 0x7F for shift in range(0, max(other.bit_length(), 1), 7)]
        octets += [0x80 | septet for septet in reversed(septets[1:])] + septets[:1]
    return tlv(0x06, bytes(octets))


def mail(text: str) -> bytes:
    return tlv(0x81, text.encode())


def dns(text: str) -> bytes:
    return tlv(0x82, text.encode())


def directory(*names: bytes) -> bytes:
    return tlv(0xA4, seq(*names))


def uri(text: str) -> bytes:
    return tlv(0x86, text.encode())


COMMON_NAME = tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"x")))
OTHER_NAME = tlv(0xA0, oid("1.2.3"), tlv(0xA0, tlv(0x0C, b"x")))
NAMES = {
    **{f"e-mail {text!r}": mail(text) for text in ("", "@", "a@", "@a", "a b", "a@b")},
    **{
        f"DNS name {text!r}": dns(text) for text in ("", " ", ".", ".a", "a b", "a..b_%$", "*.*", "-", "10.0.0.1", "\0")
    },
    **{
        f"URI {text!r}": uri(text)
        for text in ("", "a", ".a", "http://a b/%", "http://[::1", "urn:x", "mailto:", "x://")
    },
    **{f"{size} octets of address": tlv(0x87, bytes(size)) for size in (4, 8, 16, 32)},
    "address with holes in its mask": tlv(0x87, b"\1\2\3\4\xff\0\xff\0"),
    "registered": tlv(0x88, b"\x2a\x03"),
    "other name": OTHER_NAME,
    "damaged other name": tlv(0xA0, oid("1.2.3"), tlv(0xA0, b"\x0c\x05x")),
    "EDI party": tlv(0xA5, tlv(0xA1, tlv(0x0C, b"x"))),
    "X.400 address": tlv(0xA3),
    "empty directory name": directory(),
    "directory name": directory(COMMON_NAME),
    "directory name of an odd type": directory(tlv(0x31, seq(oid("1.2." + "9" * 40), tlv(0x0C, b"")))),
    "directory name with bad BMP": directory(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x1E, b"\xd8\x00")))),
    "directory name with bits": directory(tlv(0x31, seq(oid("2.5.4.45"), tlv(0x03, b"\0\1")))),
}


def _contents() -> Iterator[tuple[ObjectIdentifier, str, bytes]]:
    """What may stand in an extension."""
    yield from _with_names()
    for name, number in BIG.items():
        yield ExtensionOID.BASIC_CONSTRAINTS, name, seq(tlv(0x01, b"\xff"), integer(number))
        yield ExtensionOID.BASIC_CONSTRAINTS, f"no CA, {name}", seq(integer(number))
        yield ExtensionOID.INHIBIT_ANY_POLICY, name, integer(number)
        yield ExtensionOID.POLICY_CONSTRAINTS, f"explicit {name}", seq(integer(number, 0x80))
        yield ExtensionOID.POLICY_CONSTRAINTS, f"mapping {name}", seq(integer(number, 0x81))
    for octet in (b"\x00", b"\x01"):
        yield ExtensionOID.BASIC_CONSTRAINTS, f"CA {octet.hex()}", seq(tlv(0x01, octet))
    for bits in ("00", "0080", "07ff", "00808080"):
        yield ExtensionOID.KEY_USAGE, bits, tlv(0x03, bytes.fromhex(bits))
    yield ExtensionOID.EXTENDED_KEY_USAGE, "big", seq(oid("1.3.6.1.5.5.7.3.1"), oid("1.2." + "9" * 30))
    yield ExtensionOID.CERTIFICATE_POLICIES, "no qualifier", seq(seq(oid("1.2.3"), seq()))
    yield ExtensionOID.CERTIFICATE_POLICIES, "twice", seq(seq(oid("1.2.3")), seq(oid("1.2.3")))
    for dotted, qualifier in {"1": tlv(0x16, b"no URI %"), "2": seq()}.items():
        qualifiers = seq(seq(oid(f"1.3.6.1.5.5.7.2.{dotted}"), qualifier))
        yield ExtensionOID.CERTIFICATE_POLICIES, f"qualifier {dotted}", seq(seq(oid("1.2.3"), qualifiers))
    for empty in EMPTY:
        yield empty, "empty", seq()


EMPTY = (
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.FRESHEST_CRL,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
)


def _with_names() -> Iterator[tuple[ObjectIdentifier, str, bytes]]:
    method = oid(AuthorityInformationAccessOID.OCSP.dotted_string)
    for text, name in NAMES.items():
        yield ExtensionOID.SUBJECT_ALTERNATIVE_NAME, text, seq(dns(HOST), name)
        yield ExtensionOID.ISSUER_ALTERNATIVE_NAME, text, seq(name)
        yield ExtensionOID.NAME_CONSTRAINTS, f"permitted {text}", seq(tlv(0xA0, seq(name)))
        yield ExtensionOID.NAME_CONSTRAINTS, f"excluded {text}", seq(tlv(0xA1, seq(name)))
        yield ExtensionOID.NAME_CONSTRAINTS, f"minimum {text}", seq(tlv(0xA0, seq(name, tlv(0x80, b"\x01"))))
        yield ExtensionOID.CRL_DISTRIBUTION_POINTS, text, seq(seq(tlv(0xA0, tlv(0xA0, name))))
        yield ExtensionOID.AUTHORITY_INFORMATION_ACCESS, text, seq(seq(method, name))
        yield ExtensionOID.AUTHORITY_KEY_IDENTIFIER, text, seq(tlv(0xA1, name), tlv(0x82, b"\x01"))


def with_odd_extensions() -> Iterator[tuple[str, bytes]]:
    for kind, text, content in _contents():
        odd = x509.UnrecognizedExtension(kind, content)
        ca = None if kind == ExtensionOID.BASIC_CONSTRAINTS else kind == ExtensionOID.NAME_CONSTRAINTS
        sans = () if kind == ExtensionOID.SUBJECT_ALTERNATIVE_NAME else None
        for critical in (True, False):
            made = self_signed(HOST, ca=ca, sans=sans, extensions=[(odd, critical)])
            yield f"{kind.dotted_string} {text}, {critical=}", made.der


def _pss(*fields: bytes, digest: str = "2.16.840.1.101.3.4.2.1", salt: int = 32) -> bytes:
    generator = seq(oid("1.2.840.113549.1.1.8"), seq(oid(digest)))
    parameters = [tlv(0xA0, seq(oid(digest))), tlv(0xA1, generator), tlv(0xA2, integer(salt)), *fields]
    return seq(oid("1.2.840.113549.1.1.10"), seq(*parameters))


ALGORITHMS = {
    "PSS": _pss(),
    "PSS with SHA-512/256": _pss(digest="2.16.840.1.101.3.4.2.6"),
    "PSS with a long salt": _pss(salt=2**31),
    "PSS with an endless salt": _pss(salt=2**40),
    "PSS without a salt": _pss(salt=0),
    **{f"PSS with trailer {number}": _pss(tlv(0xA3, integer(number))) for number in (0, 1, 2, 7, 2**31)},
    "PSS with SHA-1": seq(oid("1.2.840.113549.1.1.10"), seq()),
    "RSA without NULL": seq(oid("1.2.840.113549.1.1.11")),
    "ECDSA with NULL": seq(oid("1.2.840.10045.4.3.2"), tlv(0x05)),
    "Ed25519 with NULL": seq(oid("1.3.101.112"), tlv(0x05)),
}


def with_odd_algorithms() -> Iterator[tuple[str, bytes]]:
    """Signed by a CA with an algorithm that has odd parameters, or holding a key of such an algorithm; forged."""
    der = issued(authority(), HOST, key=rsa_key()).der
    key = _parts(der, asn1.children(der, asn1.element(der))[0])[6]
    for text, algorithm in ALGORITHMS.items():
        yield f"signature: {text}", _forged(der, {2: algorithm})
        yield f"key: {text}", _forged(der, {6: seq(algorithm, _parts(key, asn1.element(key))[1])})


def with_odd_subjects() -> Iterator[tuple[str, bytes]]:
    """An odd subject, or none and a subject alternative name, critical or not, in its place; forged."""
    for text, name in NAMES.items():
        if "directory name" in text:
            content = asn1.children(name, asn1.element(name))[0]
            subject = name[content.start : content.end]
            yield f"subject: {text}", _forged(issued(authority(), HOST).der, {5: subject})
    for text, names in {"nothing": [], "a DNS name": [dns(HOST)], "a directory name": [directory()]}.items():
        instead = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, seq(*names))
        for critical in (True, False):
            der = issued(authority(), HOST, sans=(), extensions=[(instead, critical)]).der
            yield f"subject: none but {text}, {critical=}", _forged(der, {5: seq()})


def _forged(der: bytes, fields: dict[int, bytes]) -> bytes:
    """With other fields (of TBSCertificate, version first) and the signature as it was."""
    signed, _, signature = asn1.children(der, asn1.element(der))
    changed = [fields.get(index, part) for index, part in enumerate(_parts(der, signed))]
    return seq(seq(*changed), changed[2], der[signature.start : signature.end])


def _parts(der: bytes, parent: asn1.Element) -> list[bytes]:
    return [der[each.start : each.end] for each in asn1.children(der, parent)]


def of_cryptography() -> Iterator[tuple[str, bytes]]:
    """The certificates among the test vectors of `cryptography`, the NIST's among them."""
    for file in sorted(VECTORS.rglob("*")):
        if file.suffix in {".pem", ".der", ".crt"}:
            try:
                yield str(file.relative_to(VECTORS)), certificate_file.read(file.read_bytes()).certificate
            except Rejected:
                continue
