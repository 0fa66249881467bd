"""Bodies that are made to cost more than they should: time, memory, or the patience of everybody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

from tests import key_stores as ks
from tests.certificates import self_signed

FORM, NDJSON, JSON = "multipart/form-data; boundary=x", "application/x-ndjson", "application/json"
CERTIFICATES, DRY, BULK, APIS = "/v1/certificates", "/v1/certificates?dry_run=true", "/v1/certificates/bulk", "/v1/apis"
BILLION = 1_000_000_000
BLOCK = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
_MOST = 250 * 1024  # of a body that is not too large
_SIGNED_DATA = "2a864886f70d010702"
_SHA256_WITH_RSA = ks.seq(ks.oid("2a864886f70d01010b"), b"\x05\x00")
_RSA = ks.seq(ks.oid("2a864886f70d010101"), b"\x05\x00")


@dataclass(frozen=True)
class Hostile:
    """One body for a route."""

    path: str
    kind: str
    content: bytes
    method: str = "POST"

    def request(self, token: str) -> bytes:
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {token}",
            f"Content-Type: {self.kind}",
            f"Content-Length: {len(self.content)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.content


def part(name: str, content: bytes, *more: str) -> bytes:
    head = "\r\n".join([f'--x\r\nContent-Disposition: form-data; name="{name}"', *more])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def file(content: bytes) -> bytes:
    return part('certificate"; filename="a', content)


def form(certificate: bytes, **more: str) -> bytes:
    fields = {"alias": "hostile", "endpoint": "https://hostile.example"} | more
    texts = b"".join(part(name, value.encode()) for name, value in fields.items())
    return texts + file(certificate) + b"--x--\r\n"


def all_of_them() -> dict[str, Hostile]:
    """Each is answered with 4xx, but bulks: in these each line is refused on its own.

    Files are sent for a dry run, so that they are judged by the worker's rules as well.
    """
    files = {name: Hostile(DRY, FORM, form(made())) for name, made in FILES.items()}
    stores = {
        name: Hostile(CERTIFICATES, FORM, part("password", b"changeit") + file(made()) + b"--x--\r\n")
        for name, made in STORES.items()
    }
    return files | stores | dict(_parts()) | dict(_json()) | dict(_bulks())


def certificate(
    *,
    key: bytes | None = None,
    name: bytes = b"",
    extensions: bytes = b"",
    serial: bytes | None = None,
    algorithm: bytes = _SHA256_WITH_RSA,
    signature: bytes = bytes(256),
) -> bytes:
    """A certificate of version 3 that is as odd as its parts."""
    subject = name or ks.seq(ks.tlv(0x31, ks.seq(ks.oid("550403"), ks.tlv(0x0C, b"hostile.example"))))
    validity = ks.seq(ks.tlv(0x17, b"250101000000Z"), ks.tlv(0x17, b"350101000000Z"))
    number = serial or ks.integer(7)
    parts = [
        ks.explicit(ks.integer(2)),
        number,
        algorithm,
        subject,
        validity,
        subject,
        key or rsa_key(2**2047 + 1, 65537),
    ]
    to_be_signed = ks.seq(*parts, ks.tlv(0xA3, ks.seq(extensions)) if extensions else b"")
    return ks.seq(to_be_signed, algorithm, ks.tlv(0x03, b"\0", signature))


def rsa_key(modulus: int, exponent: int) -> bytes:
    return ks.seq(_RSA, ks.tlv(0x03, b"\0", ks.seq(ks.integer(modulus), ks.integer(exponent))))


def extension(number: str, content: bytes) -> bytes:
    return ks.seq(ks.oid(number), ks.octets(content))


def _aligned(data: bytes) -> bytes:
    return b"|".join(b"A" * shift + base64.b64encode(data).rstrip(b"=") for shift in range(4))


def _nested(tag: int, times: int, inside: bytes = b"") -> bytes:
    return reduce(lambda content, _: ks.tlv(tag, content), range(times), inside)


def _nested_pkcs7(times: int) -> bytes:
    def wrapped(content: bytes, _: int) -> bytes:
        signed = ks.seq(ks.integer(1), b"\x31\x00", ks.seq(ks.oid(_SIGNED_DATA), ks.explicit(content)), b"\x31\x00")
        return ks.seq(ks.oid(_SIGNED_DATA), ks.explicit(signed))

    return reduce(wrapped, range(times), ks.seq(ks.oid(ks.DATA)))


def _many_names(times: int) -> bytes:
    names = b"".join(ks.tlv(0x82, f"a{number}.x".encode()) for number in range(times))
    return certificate(extensions=extension("551d11", ks.seq(names)))


def _many_constraints(times: int) -> bytes:
    """Of a CA, with as many names, so that somebody could compare all of them with all."""
    names = b"".join(ks.tlv(0x82, f"a{number}.x".encode()) for number in range(times))
    trees = b"".join(ks.seq(ks.tlv(0x82, f"a{number}.x".encode())) for number in range(times))
    constraints = ks.seq(ks.tlv(0xA0, trees))
    is_ca = extension("551d13", ks.seq(b"\x01\x01\xff"))
    return certificate(extensions=is_ca + extension("551d1e", constraints) + extension("551d11", ks.seq(names)))


def _many_policies(times: int) -> bytes:
    policies = b"".join(ks.seq(ks.tlv(0x06, b"\x2a\x03" + (number % 100).to_bytes())) for number in range(times))
    return certificate(extensions=extension("551d20", ks.seq(policies)))


def _many_extensions(times: int) -> bytes:
    return certificate(extensions=b"".join(extension(f"2a03{n // 100:02x}{n % 100:02x}", b"x") for n in range(times)))


def _large_rsa(bits: int, serial: int = 7) -> bytes:
    """Self-signed, as it says: to find that it is not takes a power with a public exponent as long as the modulus."""
    modulus = 2**bits - 1
    size = bits // 8
    return certificate(key=rsa_key(modulus, modulus - 2), serial=ks.integer(serial), signature=b"\x7f" * size)


def _as_pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def _explicit_curve() -> bytes:
    """A key on a curve of its own (X9.62), whose field is large."""
    field = ks.seq(ks.oid("2a8648ce3d0101"), ks.integer(2**8191 - 1))
    curve = ks.seq(ks.octets(bytes(1024)), ks.octets(bytes(1023), b"\x07"))
    point = b"\x04" + bytes(2048)
    explicit = ks.seq(ks.integer(1), field, curve, ks.octets(point), ks.integer(2**8191 - 1), ks.integer(1))
    key = ks.seq(ks.seq(ks.oid("2a8648ce3d0201"), explicit), ks.tlv(0x03, b"\0", point))
    return certificate(key=key, algorithm=ks.seq(ks.oid("2a8648ce3d040302")), signature=bytes(70))


FILES: dict[str, Callable[[], bytes]] = {
    "100,000 PEM blocks, too large": lambda: BLOCK * 100_000,
    "PEM blocks, as many as go in": lambda: b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n" * 4096,
    "BEGIN lines": lambda: b"-----BEGIN CERTIFICATE-----\n" * 8000,
    "base64 without an end": lambda: b"-----BEGIN CERTIFICATE-----\n" + b"A" * _MOST,
    "base64 in single characters": lambda: b"-----BEGIN CERTIFICATE-----\n" + b"A\n" * (_MOST // 2),
    "certificates, all different": lambda: self_signed().pem * 300,
    "PKCS #7 in itself, 1,000 times": lambda: _nested_pkcs7(1000),
    "PKCS #7 in itself, as often as goes in": lambda: _nested_pkcs7(4700),
    "PKCS #7 of 100,000 empty elements": lambda: ks.seq(
        ks.oid(_SIGNED_DATA), ks.explicit(ks.seq(ks.integer(1), b"\x31\x00", ks.tlv(0xA0, b"\x30\x00" * 100_000)))
    ),
    "sequences in each other": lambda: _nested(0x30, 50_000),
    "constructed octets in each other": lambda: _nested(0x24, 50_000),
    "sequences without an end": lambda: b"\x30\x80" * (_MOST // 2),
    "length of four gigabytes": lambda: b"\x30\x84\xff\xff\xff\xff" + bytes(1000),
    "length in 126 octets": lambda: b"\x30\xfe" + b"\xff" * 126 + bytes(1000),
    "100,000 tiny elements": lambda: ks.seq(b"\x05\x00" * 100_000),
    "100,000 integers that a key might begin with": lambda: ks.seq(b"\x30\x06\x02\x01\x00\x02\x01\x00" * 30_000),
    "object identifier of 200 KB": lambda: ks.seq(ks.seq(ks.tlv(0x06, b"\xff" * 200_000 + b"\x7f"), b"\x05\x00")),
    "object identifier of 50 KB in a certificate": lambda: certificate(
        extensions=ks.seq(ks.tlv(0x06, b"\x2a" + b"\xff" * 50_000 + b"\x7f"), ks.octets(b"x"))
    ),
    "serial number of 60 KB": lambda: certificate(serial=ks.tlv(0x02, b"\x7f" * 60_000)),
    "RSA with a modulus of 400,000 bits": lambda: certificate(key=rsa_key(2**400_000 - 1, 65537)),
    "RSA of 16,384 bits with an exponent as long": lambda: _large_rsa(16_384),
    "RSA of 65,536 bits with an exponent as long": lambda: _large_rsa(65_536),
    "RSA of 2,048 bits with an exponent of 200,000": lambda: certificate(key=rsa_key(2**2047 + 1, 2**200_000 + 1)),
    "twenty of such RSA that say they issued each other": lambda: b"".join(
        _as_pem(_large_rsa(16_384, serial)) for serial in range(1, 21)
    ),
    "curve of its own": _explicit_curve,
    "thousands of names": lambda: _many_names(6000),
    "thousands of names and constraints": lambda: _many_constraints(3000),
    "thousands of policies": lambda: _many_policies(8000),
    "thousands of extensions": lambda: _many_extensions(4000),
    "name of 60 KB": lambda: certificate(
        name=ks.seq(*(ks.tlv(0x31, ks.seq(ks.oid("550403"), ks.tlv(0x0C, b"x" * 20))) for _ in range(1700)))
    ),
    "what keys begin with, at every alignment of base64 in base64": lambda: _aligned(
        _aligned(_aligned(bytes.fromhex("3007 020100 3080 0500") * 99 + b"\x05\x00" * 1000))[:45_000]
    ),
    "zeroes": lambda: bytes(_MOST),
}

STORES: dict[str, Callable[[], bytes]] = {
    "MAC of a billion": lambda: ks.trusting(self_signed().der, mac=ks.mac_asking(BILLION)),
    "MAC of SHA-512 of a billion": lambda: ks.trusting(self_signed().der, mac=ks.mac_asking(BILLION, ks.SHA512)),
    "PBKDF2 of a billion": lambda: ks.pfx(ks.encrypted(ks.pbes2(BILLION), bytes(64))),
    "PBKDF2 of 10 to the 1,000": lambda: ks.pfx(ks.encrypted(ks.pbes2(10**1000), bytes(64))),
    "3DES of a billion": lambda: ks.pfx(ks.encrypted(ks.pbes1(ks.TRIPLE_DES, BILLION), bytes(64))),
    "MAC as costly as is allowed": lambda: ks.trusting(self_signed().der, mac=ks.mac_asking(100_000)),
    "PBKDF2 as costly as is allowed": lambda: ks.pfx(ks.encrypted(ks.pbes2(100_000), bytes(64))),
    "many that are a little costly": lambda: ks.pfx(*(ks.encrypted(ks.pbes2(20_000), bytes(64)) for _ in range(60))),
    "RC2 over 100 KB": lambda: ks.pfx(ks.encrypted(ks.pbes1(ks.RC2_40, 1000), bytes(100_000))),
    "salt of 200 KB": lambda: ks.trusting(self_signed().der, mac=ks.mac_asking(1000, salt=bytes(200_000))),
    "bags in bags": lambda: ks.pfx(ks.data(ks.seq(_nested_bags(300)))),
    "bags, tiny and many": lambda: ks.pfx(ks.data(ks.seq(*[ks.bag(ks.CRL_BAG, b"\x05\x00")] * 9000))),
    "JKS of four billion entries": lambda: b"\xfe\xed\xfe\xed\0\0\0\2\xff\xff\xff\xff" + bytes(200_000),
}


def _nested_bags(times: int) -> bytes:
    return reduce(lambda inner, _: ks.bag(ks.NESTED_BAG, ks.seq(inner)), range(times), ks.bag(ks.CRL_BAG, b"\x05\x00"))


def _parts() -> Iterator[tuple[str, Hostile]]:
    end = b"--x--\r\n"
    yield "parts, thousands", Hostile(CERTIFICATES, FORM, part("a", b"") * 4000 + end)
    yield "parts that are files", Hostile(CERTIFICATES, FORM, file(b"x") * 2500 + end)
    yield "part with a head of 200 KB", Hostile(CERTIFICATES, FORM, part("alias", b"x", "X: " + "x" * 200_000) + end)
    heads = [f"X-{number}: x" for number in range(15_000)]
    yield "part with 15,000 headers", Hostile(CERTIFICATES, FORM, part("alias", b"x", *heads) + end)
    yield "part with a name of 200 KB", Hostile(CERTIFICATES, FORM, part("a" * 200_000, b"x") + end)
    yield "lines that are almost the boundary", Hostile(CERTIFICATES, FORM, part("alias", b"\r\n--" * 60_000) + end)
    backslashes = Hostile(CERTIFICATES, FORM, part('a"; x="' + '\\"' * 100_000, b"x") + end)
    yield "name of backslashes", backslashes
    yield "alias of 250 KB", Hostile(CERTIFICATES, FORM, form(b"x", alias="x" * (_MOST - 1000)))
    yield "endpoint of 250 KB", Hostile(CERTIFICATES, FORM, form(b"x", endpoint="https://" + "a." * 120_000))
    yield "activate_at of 250 KB", Hostile(CERTIFICATES, FORM, form(b"x", activate_at="9" * 240_000))


def _json() -> Iterator[tuple[str, Hostile]]:
    texts = {
        "lists in lists": b"[" * 120_000,
        "lists in lists, closed": b"[" * 100_000 + b"]" * 100_000,
        "objects in objects": b'{"a":' * 50_000,
        "members": b"{" + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}",
        "same member": b"{" + b",".join([b'"name":1'] * 25_000) + b"}",
        "number of 200,000 digits": b'{"name":' + b"9" * 200_000 + b"}",
        "exponent": b'{"name":1e999999999, "version":' + b"1" * 4000 + b"}",
        "escapes": b'{"name":"' + b"\\u0041" * 40_000 + b'"}',
        "base64 in many texts": json.dumps(
            {"endpoints": [base64.b64encode(bytes([n % 251] * 60)).decode() for n in range(2500)]}
        ).encode(),
        "what keys begin with": json.dumps(
            {"name": base64.b64encode(b"\x30\x80\x02\x01\x00\x30\x03\x06" * 20_000).decode()}
        ).encode(),
        "spaces": b" " * _MOST,
    }
    for name, text in texts.items():
        yield f"JSON: {name}", Hostile(APIS, JSON, text)


def _bulks() -> Iterator[tuple[str, Hostile]]:
    def line(**more: str) -> bytes:
        return json.dumps({"alias": "hostile", "endpoint": "https://hostile.example", **more}).encode() + b"\n"

    nested = base64.b64encode(_nested(0x30, 300)).decode()
    chain = (_as_pem(_large_rsa(16_384)) * 2 + _as_pem(_many_names(900))).decode()
    yield "bulk: one line of 20 MB", Hostile(BULK, NDJSON, b'{"alias": "' + b"x" * 20_000_000 + b'"}')
    yield "bulk: 10,000 lines of nothing", Hostile(BULK, NDJSON, b"[\n" * 10_000)
    yield "bulk: 10,000 lines of sequences", Hostile(BULK, NDJSON, line(certificate=nested) * 10_000)
    yield "bulk: 500 lines of chains that are none", Hostile(BULK, NDJSON, line(certificate=chain) * 500)
    yield "bulk: lists in lists", Hostile(BULK, NDJSON, (b"[" * 100_000 + b"\n") * 50)
    yield "bulk: a million empty lines", Hostile(BULK, NDJSON, b"\n" * 1_000_000)
