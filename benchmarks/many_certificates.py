"""Certificates by the thousand, each its own, of the size that backends have: RSA 2048, signed by one authority."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def certificates(prefix: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield alias and DER: `{prefix}-00000` for host `{prefix}-00000.example`, and so on."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048).public_key()
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    for number in range(count):
        alias = f"{prefix}-{number:05}"
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(f"{alias}.example"))
            .issuer_name(_name("Benchmark CA"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{alias}.example")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        yield alias, builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def endpoint(alias: str) -> str:
    """Return the endpoint that the certificate under this alias is for."""
    return f"https://{alias}.example:443"


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
