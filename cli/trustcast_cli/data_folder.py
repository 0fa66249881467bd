"""The folder of `trustcast dev`: what is made at the first start and kept from then on.

    admin.token       the bearer token of the admin, mode 0600
    trustcast.db      SQLite; trustcast.db.lock is held while a `dev` uses it
    redis/            configuration, password, port, append-only file
    keys/             head.pem (Ed25519, PKCS#8, mode 0600) and head.pub.pem
    gateways.json     the gateways and the hashes of their tokens, for the api
    gateways/NAME/    the gateway's home, in the layout of WSO2 API Manager
    listeners/NAME/   token and state of the gateway's listener
    logs/             one file a process
    run/              lock, process ids, health files

Nothing that exists is made anew, so a start continues where the last one left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import shutil
import ssl
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trustcast_cli import dev_lock, secret_file
from trustcast_cli.errors import CannotRun

ENVIRONMENT = "default"
TRUSTSTORE_PASSWORD = "wso2carbon"  # noqa: S105 - what WSO2 ships; a truststore's password keeps no secret
TRUSTSTORE = Path("repository/resources/security/client-truststore.jks")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything is; `path` is absolute."""

    path: Path

    @property
    def admin_token(self) -> Path:
        """The file with the admin's bearer token."""
        return self.path / "admin.token"

    @property
    def head_key(self) -> Path:
        """The private key that signs heads."""
        return self.path / "keys" / "head.pem"

    @property
    def head_public_key(self) -> Path:
        """The public key that each listener pins."""
        return self.path / "keys" / "head.pub.pem"

    @property
    def redis(self) -> Path:
        """Redis' folder."""
        return self.path / "redis"

    @property
    def gateways_file(self) -> Path:
        """The gateways' list for the api."""
        return self.path / "gateways.json"

    @property
    def database(self) -> Path:
        """The embedded database's file."""
        return self.path / "trustcast.db"

    @property
    def database_url(self) -> str:
        """The embedded database as an SQLAlchemy URL."""
        return f"sqlite:///{urllib.parse.quote(str(self.database))}"

    def gateway_home(self, name: str) -> Path:
        """Return the gateway's home."""
        return self.path / "gateways" / name

    def truststore(self, name: str) -> Path:
        """Return the JKS file that the gateway reads."""
        return self.gateway_home(name) / TRUSTSTORE

    def listener(self, name: str) -> Path:
        """Return the folder of the gateway's listener."""
        return self.path / "listeners" / name

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.path / "logs" / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Return the last line that a process logged, and where the others are."""
        log = self.log(name)
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing")
        return f"{last} (the whole log: {log})"

    def pid_file(self, name: str) -> Path:
        """Return the file that holds a process' id while it runs."""
        return self.path / "run" / f"{name}.pid"

    def health(self, name: str) -> Path:
        """Return the file that a process touches to prove that it works."""
        return self.path / "run" / f"{name}.health"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[DataFolder, int]]:
    """Make the folder and lock it; yields it with the lock's file descriptor, which the children inherit.

    The lock lasts until the last of them ended, also when `dev` itself was killed: no two listeners write one gateway.
    Raises `CannotRun` if the folder cannot be written or belongs to a running `dev`.
    """
    with contextlib.ExitStack() as stack:
        try:
            for folder in ("", "redis", "keys", "gateways", "listeners", "logs", "run"):
                (path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context(dev_lock.held(path / "run" / "lock", f"The data folder {path}"))
        except OSError as error:
            message = f"The data folder {path} cannot be written: {error.strerror}. Choose another --data-dir."
            raise CannotRun(message) from None
        yield DataFolder(path.resolve()), lock


def prepare(folder: DataFolder, gateways: int) -> tuple[str, ...]:
    """Make what is missing for so many gateways and return their names. Raises `CannotRun` if it cannot."""
    names = tuple(f"gateway-{number}" for number in range(1, gateways + 1))
    try:
        secret_file.kept(folder.admin_token, lambda: secrets.token_urlsafe(32))
        _make_keys(folder)
        _make_homes(folder, names)
        _list_gateways(folder, names)
    except OSError as error:
        raise CannotRun(f"{error.filename or folder.path} cannot be written: {error.strerror}.") from None
    return names


def _make_keys(folder: DataFolder) -> None:
    """Make the pair once. A missing public half is derived: a new pair would be one that no gateway has pinned."""
    if folder.head_key.exists() and folder.head_public_key.exists():
        return
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only at the first start: it takes 50 ms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    def generated() -> str:
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        made = Ed25519PrivateKey.generate().private_bytes(serialization.Encoding.PEM, pkcs8, plain)
        return made.decode("ascii").strip()

    if folder.head_public_key.exists():
        raise CannotRun(
            f"{folder.head_key} is missing, and the gateways have pinned its other half: put it back from a backup, "
            f"or remove {folder.head_public_key} to have a new pair."
        )
    try:
        key = serialization.load_pem_private_key(secret_file.kept(folder.head_key, generated).encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise CannotRun(f"{folder.head_key} is not an unencrypted Ed25519 key in PKCS#8 PEM.")
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    secret_file.write(folder.head_public_key, public.decode("ascii"))


def _make_homes(folder: DataFolder, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not folder.gateway_home(name).exists()]
    if not missing:
        return
    from trustcast_cli import sample_home  # noqa: PLC0415 - only at the first start

    foreign = _public_cas()
    for name in missing:
        partial = folder.path / "gateways" / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        sample_home.make_home(partial, TRUSTSTORE_PASSWORD, foreign)
        partial.rename(folder.gateway_home(name))


def _public_cas() -> dict[str, bytes]:
    """Read certifi's public CAs, alias to DER: what a gateway trusts before Trustcast adds anything."""
    import certifi  # noqa: PLC0415 - only at the first start

    # Not parsed: some of them break RFC 5280, and a gateway carries them all the same.
    blocks = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", certifi.contents(), re.DOTALL)
    return {f"publicca{number:03}": ssl.PEM_cert_to_DER_cert(block) for number, block in enumerate(blocks, start=1)}


def _list_gateways(folder: DataFolder, names: tuple[str, ...]) -> None:
    gateways = []
    for name in names:
        (folder.listener(name) / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
        token = secret_file.kept(folder.listener(name) / "token", lambda: secrets.token_urlsafe(32))
        digest = hashlib.sha256(token.encode()).hexdigest()
        gateways.append({"name": name, "environment": ENVIRONMENT, "token_sha256": digest})
    secret_file.write(folder.gateways_file, json.dumps({"gateways": gateways}, indent=2) + "\n")
