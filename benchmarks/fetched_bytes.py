"""What one listener reads from the network for one change at 10,000 entries: counted on the wire, headers included."""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.gateway_files import GatewayFiles
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row
from benchmarks.seeded_dev import running_seeded_services
from benchmarks.uploads import Client, body
from tests.dev_server import environment, wait_until
from trustcast_cli import data_folder
from trustcast_cli.services import Services

MANY = 10_000
LIMIT_BYTES = 4096
_SETTLED = 0.5  # seconds; the report follows the install


class CountingProxy:
    """A TCP proxy on loopback that counts what passes: `sent` to the server, `fetched` from it."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.sent = self.fetched = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._pass, args=(client, server, "sent"), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, "fetched"), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                setattr(self, counted, getattr(self, counted) + len(data))  # each is counted by one thread at a time
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row."""
    entries, changes = (2_000, 3) if quick else (MANY, 10)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_seeded_services(Path(folder), entries=entries) as running,
        closing(CountingProxy(running.port)) as proxy,
        _listening_through(running, proxy.port),
    ):
        files = GatewayFiles(running.folder, running.gateways)
        wait_until(lambda: proxy.fetched > 100 * entries, 60)  # it holds nothing yet, so it fetches everything
        time.sleep(2 * _SETTLED)
        everything = proxy.fetched
        rounds = [_fetched_and_sent(running, proxy, files, alias, der) for alias, der in certificates("added", changes)]
    fetched, sent = [one for one, _ in rounds], [one for _, one in rounds]
    yield Row(
        f"bytes that one listener fetches for one change at {entries:,} entries",
        f"<= {LIMIT_BYTES:,}",
        f"{max(fetched):,} at most",
        max(fetched) <= LIMIT_BYTES,
        {
            "fetched_p50": statistics.median(fetched),
            "sent_p50": statistics.median(sent),
            "fetched_at_first": everything,
        },
    )


def _fetched_and_sent(
    running: Services, proxy: CountingProxy, files: GatewayFiles, alias: str, der: bytes
) -> tuple[int, int]:
    """Upload one; count until it is installed and reported."""
    fetched, sent, before = proxy.fetched, proxy.sent, files.profiles_now()
    with closing(Client(running.port, running.admin_token)) as client:
        client.upload(body(alias, der))
    files.wait_for_new_profiles(before, 20)
    time.sleep(_SETTLED)
    return proxy.fetched - fetched, proxy.sent - sent


@contextlib.contextmanager
def _listening_through(running: Services, port: int) -> Iterator[None]:
    """Replace the only listener by one of the same gateway that reaches the api through this port."""
    folder, (gateway,) = running.folder, running.gateways
    running.stop(gateway)
    settings = {
        "API_URL": f"http://127.0.0.1:{port}",
        "REDIS_URL_FILE": folder.redis / "url",
        "GATEWAY_NAME": gateway,
        "GATEWAY_ENVIRONMENT": data_folder.ENVIRONMENT,
        "GATEWAY_HOME": folder.gateway_home(gateway),
        "GATEWAY_TOKEN_FILE": folder.listener(gateway) / "token",
        "GATEWAY_STATE_DIR": folder.path / "state-of-the-counted",
        "GATEWAY_RECONCILE_SECONDS": 600,  # so that no tick is counted
        "HEAD_PUBLIC_KEY_FILE": folder.head_public_key,
    }
    own = environment({f"TRUSTCAST_{name}": str(value) for name, value in settings.items()})
    with (
        folder.log("counted").open("ab") as log,
        subprocess.Popen([sys.executable, "-m", "trustcast_gateway"], env=own, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
