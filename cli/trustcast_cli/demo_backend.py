"""The HTTPS backend of the demo, with a self-signed certificate made on the spot."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ANSWER = b"hello from the backend\n"
VALID_FOR = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where it listens and the certificate it shows, as PEM."""

    url: str
    certificate: bytes


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Backend]:
    """Serve on loopback until the end; the key is removed from `folder` once the server has read it."""
    certificate, key = _self_signed("localhost")
    key_file, certificate_file = folder / "backend.key", folder / "backend.pem"
    key_file.touch(mode=0o600)
    key_file.write_bytes(key)
    certificate_file.write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    key_file.unlink()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield Backend(f"https://localhost:{server.server_port}", certificate)
        finally:
            server.shutdown()


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Keep the terminal for the demo."""


def _self_signed(host: str) -> tuple[bytes, bytes]:
    """Return certificate and key as PEM: a leaf for the host and 127.0.0.1, valid since a minute ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
