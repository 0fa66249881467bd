"""The worker is killed again and again: what it did half is done again, nothing twice, nothing never."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import dev_server
from tests.faults.uploads import Client, running
from trustcast_cli.services import Services

log = logging.getLogger("faults")
KILLS = 10
UPLOADS = 200
ALL_WITHIN = 30.0


def test_a_worker_killed_at_any_moment_loses_nothing(
    tmp_path: Path, chance: random.Random, database_settings: dict[str, str]
) -> None:
    with running(tmp_path / "data", settings=database_settings) as uploader, ThreadPoolExecutor(1) as thread:
        services = uploader.services
        over = threading.Event()
        uploading = thread.submit(_upload, uploader, random.Random(chance.random()), over)
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 0.3))
                dev_server.wait_until(uploader.at_work, every=0.001)
                time.sleep(chance.uniform(0, 0.02))
                _kill_the_worker(services)
                services.start("worker")
                services.wait_until_ready()
        finally:
            over.set()
        uploading.result()

        took = uploader.seconds_until_applied(ALL_WITHIN)
        log.warning("all applied %.2f s after the last upload; the slowest took %.2f s", took, uploader.longest())
        dev_server.wait_until(uploader.converged, 10)
        assert len(uploader.accepted) >= UPLOADS
        uploader.assert_invariants()


def _upload(uploader: Client, chance: random.Random, over: threading.Event) -> None:
    """In bursts, then one by one until the kills are over, so that each finds work at some stage."""
    while len(uploader.accepted) < UPLOADS or not over.is_set():
        uploader.upload(f"backend-{len(uploader.accepted)}")
        if chance.random() < 0.2 or len(uploader.accepted) > UPLOADS:
            time.sleep(chance.uniform(0, 0.6))


def _kill_the_worker(services: Services) -> None:
    worker = services.pid("worker")
    assert worker is not None
    os.killpg(worker, signal.SIGKILL)
    services.stop("worker", within=0)
