"""Redis goes away, hangs, or loses everything: no request waits for it, none is forgotten."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from pathlib import Path

import redis

from tests import dev_server
from tests.faults.uploads import Client, running

log = logging.getLogger("faults")
AWAY_SECONDS = 6.0
BACK_WITHIN = 30.0


def test_uploads_are_accepted_while_redis_is_away_and_applied_when_it_is_back(
    tmp_path: Path, database_settings: dict[str, str]
) -> None:
    with running(tmp_path / "data", settings=database_settings) as uploader:
        uploader.services.stop("redis")
        _upload_meanwhile(uploader)
        uploader.services.start("redis")

        _assert_applied_in_time(uploader)


def test_uploads_are_accepted_while_redis_hangs_and_applied_when_it_goes_on(tmp_path: Path) -> None:
    with running(tmp_path / "data") as uploader:
        redis_server = uploader.services.pid("redis")
        assert redis_server is not None
        os.kill(redis_server, signal.SIGSTOP)
        try:
            _upload_meanwhile(uploader)
        finally:
            os.kill(redis_server, signal.SIGCONT)

        _assert_applied_in_time(uploader)


def test_an_emptied_redis_costs_time_but_no_upload(
    tmp_path: Path, chance: random.Random, database_settings: dict[str, str]
) -> None:
    with running(tmp_path / "data", settings=database_settings) as uploader:
        services = uploader.services
        url = (services.folder.redis / "url").read_text(encoding="ascii").strip()
        with redis.Redis.from_url(url) as server:
            for number in range(40):
                uploader.upload(f"backend-{number}")
                if chance.random() < 0.2:
                    time.sleep(chance.uniform(0, 0.02))
                    server.flushall()
            services.stop("worker")  # so that the next messages are surely in Redis and nowhere else
            for number in range(40, 60):
                uploader.upload(f"backend-{number}")
            dev_server.wait_until(uploader.nothing_is_owed, 5)
            server.flushall()
        services.start("worker")

        _assert_applied_in_time(uploader)


def _upload_meanwhile(uploader: Client) -> None:
    began = time.monotonic()
    for number in range(20):
        uploader.upload(f"backend-{number}")
    log.warning("20 accepted in %.2f s, the slowest in %.3f s", time.monotonic() - began, uploader.slowest)
    time.sleep(max(began + AWAY_SECONDS - time.monotonic(), 0))

    assert uploader.slowest < 1
    assert uploader.applied() == 0


def _assert_applied_in_time(uploader: Client) -> None:
    took = uploader.seconds_until_applied(BACK_WITHIN)
    log.warning("all applied after %.2f s", took)
    dev_server.wait_until(uploader.converged, 10)
    uploader.assert_invariants()
