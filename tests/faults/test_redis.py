"""Redis goes away, hangs, or loses everything: no request waits for it, none is forgotten."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests import dev_server
from tests.faults.uploads import client
from trustcast_cli.services import Services

log = logging.getLogger("faults")
AWAY_SECONDS = 6.0
BACK_WITHIN = 30.0


def _stop(services: Services) -> Callable[[], None]:
    services.stop("redis")
    return lambda: services.start("redis")


def _freeze(services: Services) -> Callable[[], None]:
    pid = services.pid("redis")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("lose", [_stop, _freeze])
def test_uploads_are_accepted_while_redis_is_away_and_applied_when_it_is_back(
    tmp_path: Path, lose: Callable[[Services], Callable[[], None]]
) -> None:
    with dev_server.running_services(tmp_path / "data", gateways=2) as services, client(services) as uploader:
        bring_back = lose(services)
        began = time.monotonic()
        try:
            for number in range(20):
                uploader.upload(f"backend-{number}")
            accepted_after = time.monotonic() - began
            time.sleep(max(AWAY_SECONDS - accepted_after, 0))
        finally:
            bring_back()

        took = uploader.seconds_until_applied(BACK_WITHIN)
        log.warning(
            "20 accepted in %.2f s, slowest %.3f s; applied %.2f s after", accepted_after, uploader.slowest, took
        )
        dev_server.wait_until(uploader.converged, 5)
        assert uploader.slowest < 1
        uploader.assert_invariants()


def test_an_emptied_redis_costs_time_but_no_upload(tmp_path: Path, chance: random.Random) -> None:
    with dev_server.running_services(tmp_path / "data", gateways=2) as services, client(services) as uploader:
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
            dev_server.wait_until(lambda: server.llen("validation") > 0, 5)
            server.flushall()
        services.start("worker")

        took = uploader.seconds_until_applied(BACK_WITHIN)
        log.warning("applied %.2f s after the last FLUSHALL", took)
        dev_server.wait_until(uploader.converged, 5)
        uploader.assert_invariants()
