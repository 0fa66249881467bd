"""The worker is killed again and again: what it did half is done again, nothing twice, nothing never."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests import dev_server, postgres
from tests.faults.uploads import Client, client
from trustcast_cli.services import Services

log = logging.getLogger("faults")
KILLS = 10
UPLOADS = 200
ALL_WITHIN = 30.0


@contextlib.contextmanager
def _sqlite() -> Iterator[dict[str, str]]:
    yield {}


@contextlib.contextmanager
def _postgresql() -> Iterator[dict[str, str]]:
    with postgres.database("worker-kills") as url:
        yield {"TRUSTCAST_DATABASE_URL": url}


@pytest.mark.parametrize("database", [_sqlite, _postgresql])
def test_a_worker_killed_at_any_moment_loses_nothing(
    tmp_path: Path, chance: random.Random, database: Callable[[], AbstractContextManager[dict[str, str]]]
) -> None:
    with (
        database() as env,
        dev_server.running_services(tmp_path / "data", gateways=2, env=env) as services,
        client(services, database_url=env.get("TRUSTCAST_DATABASE_URL")) as uploader,
        ThreadPoolExecutor(1) as thread,
    ):
        uploading = thread.submit(_upload, uploader, random.Random(chance.random()))
        for _ in range(KILLS):
            time.sleep(chance.uniform(0, 0.5))
            _kill_the_worker(services)
            services.start("worker")
            services.wait_until_ready()
        uploading.result()

        took = uploader.seconds_until_applied(ALL_WITHIN)
        log.warning("%d uploads applied %.2f s after the last of %d kills", UPLOADS, took, KILLS)
        dev_server.wait_until(uploader.converged, 5)
        uploader.assert_invariants()


def _upload(uploader: Client, chance: random.Random) -> None:
    """About as long as the kills take, in bursts, so that a kill finds work in every stage."""
    for number in range(UPLOADS):
        uploader.upload(f"backend-{number}")
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 0.6))


def _kill_the_worker(services: Services) -> None:
    worker = services.pid("worker")
    assert worker is not None
    os.killpg(worker, signal.SIGKILL)
    services.stop("worker", within=0)
