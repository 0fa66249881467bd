"""Certificates for tests, made on the spot with `cryptography`; nothing here is random but keys and serials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def rsa_key(bits: int = 2048, *, number: int = 0) -> rsa.RSAPrivateKey:
    """Making RSA keys is slow, so each (bits, number) is made once in a run."""
    del number
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def fingerprint_sha256(self) -> str:
        return sha256(self.der).hexdigest()


def self_signed(  # noqa: PLR0913 - each is one thing a test wants to be different
    host: str | None = "backend.example",
    *,
    ca: bool | None = False,
    days: float = 90,
    not_before: datetime | None = None,
    key: Key | None = None,
    common_name: str | None = None,
    sans: Sequence[str] | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    signed_with: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    issuer: Made | None = None,
    serial: int | None = None,
) -> Made:
    """A version 3 certificate for `host`, valid from an hour ago for `days` days.

    `ca=None` leaves basic constraints out. `sans` defaults to the host; () leaves the extension out.
    `common_name` defaults to the host. With an `issuer` it is signed by that instead of by itself.
    """
    key = key or ec_key()
    name = _name(common_name or host or "backend.example")
    begin = not_before or datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )
    alternatives = ([host] if host else []) if sans is None else sans
    if alternatives:
        general = x509.SubjectAlternativeName([_general_name(each) for each in alternatives])
        builder = builder.add_extension(general, critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else signed_with or hashes.SHA256()
    return Made(builder.sign(signer, algorithm), key)


def authority(name: str = "Example CA", **others: object) -> Made:
    """A self-signed CA that is named like no host."""
    return self_signed(None, ca=True, common_name=name, **others)  # type: ignore[arg-type]


def issued(by: Made, host: str = "backend.example", **others: object) -> Made:
    """A leaf for `host`, signed by a CA."""
    return self_signed(host, issuer=by, **others)  # type: ignore[arg-type]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
