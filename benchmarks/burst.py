"""A thousand uploads by sixteen clients at once: the time until three gateways have them all, and the generations."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.gateway_files import GatewayFiles
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row
from benchmarks.uploads import Client, body
from tests.dev_server import Dev, running_dev, wait_until

CLIENTS = 16
LIMIT_SECONDS, FEWER_GENERATIONS = 5.0, 100


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row."""
    uploads = 200 if quick else 1000
    bodies = [body(alias, der) for alias, der in certificates("burst", uploads)]
    with tempfile.TemporaryDirectory() as folder, running_dev(Path(folder)) as dev:
        files = GatewayFiles(dev.folder, dev.gateways)
        wanted = [before + uploads for before in files.entries()]
        with closing(Client(dev.port, dev.admin_token)) as client:
            started = time.perf_counter()
            answered = _sent(dev, bodies)
            wait_until(lambda: files.entries() == wanted, 60, every=0.002)
            installed = time.perf_counter() - started
            wait_until(lambda: bool(client.get("/v1/environments/default/truststore")["converged"]), 60, every=0.05)
            converged = time.perf_counter() - started
            generations = client.get("/v1/environments/default/truststore")["generation"]
        assert all(len(ours) == uploads for ours in files.ours())
    yield Row(
        f"{uploads:,} uploads by {CLIENTS} clients at once -> all converged on three gateways",
        f"<= {LIMIT_SECONDS:g} s, fewer than {FEWER_GENERATIONS} generations",
        f"{converged:.2f} s, {generations} generations",
        converged <= LIMIT_SECONDS and generations < FEWER_GENERATIONS,
        {
            "all_answered_s": round(answered, 2),
            "all_installed_s": round(installed, 2),
            "uploads_per_second": round(uploads / answered),
        },
    )


def _sent(dev: Dev, bodies: Sequence[bytes]) -> float:
    """Send all; return the seconds until the last was answered."""
    started = time.perf_counter()
    threads = [threading.Thread(target=_send, args=(dev, bodies[number::CLIENTS])) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _send(dev: Dev, bodies: Sequence[bytes]) -> None:
    with closing(Client(dev.port, dev.admin_token)) as client:
        for each in bodies:
            client.upload(each)
