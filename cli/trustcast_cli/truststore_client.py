"""Clients that trust what a gateway's truststore file holds, and nothing else."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from trustcast.keystore import jks
from trustcast_cli.errors import CannotRun

JAVA_SOURCE = Path(__file__).with_name("TruststoreClient.java")
TIMEOUT = 5.0
JAVA_TIMEOUT = 30.0


def entries(truststore: Path, password: str) -> list[jks.RawEntry]:
    """Return the entries of a gateway's JKS. Raises `CannotRun` if it cannot be read."""
    try:
        return jks.read(truststore.read_bytes(), password)
    except (OSError, jks.KeystoreError) as error:
        raise CannotRun(f"{truststore} cannot be read: {error}") from error


def refusal(url: str, truststore: Path, password: str) -> str | None:
    """Fetch the URL over TLS; return why the handshake failed, or None if all went well."""
    anchors = b"".join(entry.certificate or b"" for entry in entries(truststore, password))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=anchors)
    address = urlsplit(url)
    connection = http.client.HTTPSConnection(address.netloc, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, http.client.HTTPException) as error:
        raise CannotRun(f"The backend {url} cannot be reached: {error}") from error
    finally:
        connection.close()
    return None


class JavaClient:
    """The same on a JVM. Source in one file: Java 11 or newer compiles it in memory."""

    def __init__(self, url: str, password: str) -> None:
        self._url = url
        self._password = password

    @staticmethod
    def is_possible() -> bool:
        """Tell whether a JDK is on PATH."""
        return bool(shutil.which("java") and shutil.which("keytool"))

    def refusals(self, truststores: Sequence[Path]) -> list[str | None]:
        """Fetch the URL once with each file; say why it failed, None where it went well. Raises `CannotRun`."""
        flags = (
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
        )  # it lives for a second: compile little, collect nothing
        command = ["java", *flags, str(JAVA_SOURCE), self._url, self._password, *map(str, truststores)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=JAVA_TIMEOUT)
        except subprocess.CalledProcessError as error:
            raise CannotRun(f"The JVM client ended with status {error.returncode}: {_last(error.stderr)}") from None
        except subprocess.TimeoutExpired:
            raise CannotRun(f"The JVM client did not end within {JAVA_TIMEOUT:g} s.") from None
        return [None if line == "ok" else line for line in done.stdout.splitlines()]


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]
