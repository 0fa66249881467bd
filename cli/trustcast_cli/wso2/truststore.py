"""The `client-truststore.jks` of a WSO2 gateway: what is trusted there now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trustcast.keystore import jks
from trustcast_cli.errors import CannotRun

_CONVERT = (
    "Make one of it: keytool -importkeystore -srckeystore {0} -destkeystore {0}.converted.jks -deststoretype JKS, "
    "and give that one."
)


@dataclass(frozen=True, slots=True)
class GatewayTruststore:
    """Lower-case alias -> DER of each trusted certificate, and the aliases of private keys, which are never read."""

    certificates: Mapping[str, bytes]
    private_keys: frozenset[str] = frozenset()


def read(path: Path, password_file: Path) -> GatewayTruststore:
    """Return what the file holds. Raises `CannotRun` if it or the password's file cannot be read."""
    try:
        password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        entries = jks.read(path.read_bytes(), password)
    except OSError as error:
        raise CannotRun(f"{error.filename} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CannotRun(f"{password_file} is not text in UTF-8.") from None
    except jks.KeystoreError as error:
        advice = f" {_CONVERT.format(path)}" if error.code == "keystore_not_jks" else ""
        raise CannotRun(f"The truststore {path} cannot be read: {error.detail}{advice}") from None
    ders = {entry.alias.lower(): entry.certificate for entry in entries}
    return GatewayTruststore(
        {alias: der for alias, der in ders.items() if der is not None},
        frozenset(alias for alias, der in ders.items() if der is None),
    )
