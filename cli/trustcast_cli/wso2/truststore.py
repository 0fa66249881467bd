"""The `client-truststore.jks` of a WSO2 gateway: what is trusted there now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from trustcast.keystore import jks
from trustcast_cli.errors import CannotRun

_NOT_JKS = (
    "it is not of type JKS, probably PKCS12 under an old name. Make a JKS of it: keytool -importkeystore "
    "-srckeystore {} -destkeystore {} -deststoretype JKS, and give that one."
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
        raise CannotRun(f"The truststore {path} cannot be read: {_detail(error, path)}") from None
    ders = {entry.alias.lower(): entry.certificate for entry in entries}
    return GatewayTruststore(
        {alias: der for alias, der in ders.items() if der is not None},
        frozenset(alias for alias, der in ders.items() if der is None),
    )


def _detail(error: jks.KeystoreError, path: Path) -> str:
    if error.code != "keystore_not_jks":
        return error.detail
    return _NOT_JKS.format(quote(str(path)), quote(f"{path}.converted.jks"))
