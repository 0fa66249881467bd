"""A listener that was away, or that never hears a hint, still gets to where the others are."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sqlalchemy import select

from tests import dev_server
from tests.faults.listener import listening
from tests.faults.man_in_the_middle import standing_before
from tests.faults.uploads import Client, running
from tests.invariants import log_lines
from tests.redis_server import RedisServer
from trustcast.storage import tables

log = logging.getLogger("faults")
CHANGES = 10
# Shorter than by default, and longer than a hint takes on a busy machine.
TICK = 15.0
LONGEST_TICK = TICK * 1.2  # its jitter


def test_a_listener_that_was_away_for_ten_changes_catches_up_with_one_refresh(tmp_path: Path) -> None:
    with running(tmp_path / "data") as uploader:
        services = uploader.services
        uploader.upload("before")
        dev_server.wait_until(uploader.converged)
        services.stop("gateway-1")
        for number in range(CHANGES):
            uploader.upload(f"backend-{number}")
            dev_server.wait_until(uploader.all_applied)  # each a generation of its own

        began = time.monotonic()
        with (
            standing_before(services.url) as between,
            listening(services, "gateway-1", TRUSTCAST_API_URL=between.url),
        ):
            dev_server.wait_until(uploader.converged)
            log.warning("caught up %.2f s after the start of its process", time.monotonic() - began)
            newest = CHANGES + 1
            dev_server.wait_until(lambda: between.asked_after[-1] == newest)  # the subscription counts as a hint
        assert [after for after in between.asked_after if after != newest] == [1]
        assert [generation for generation in _reported(uploader, "gateway-1") if generation] == [1, newest]
        assert _installed(uploader, "gateway-1") == [1, 1, newest]  # a start first makes sure of what it holds
        uploader.assert_invariants()


def test_without_any_hint_the_tick_repairs(tmp_path: Path, redis_server: RedisServer) -> None:
    with running(tmp_path / "data") as uploader:
        services = uploader.services
        services.stop("gateway-1")
        # On this Redis nobody publishes anything.
        settings = {
            "TRUSTCAST_REDIS_URL": redis_server.url,
            "TRUSTCAST_GATEWAY_RECONCILE_SECONDS": str(TICK),
        }
        with (
            standing_before(services.url) as between,
            listening(services, "gateway-1", TRUSTCAST_API_URL=between.url, **settings),
        ):
            # At its start, and once more when it hears Redis.
            dev_server.wait_until(lambda: len(between.asked_after) >= 2)
            uploader.upload("orders")

            began = time.monotonic()
            dev_server.wait_until(lambda: _installed(uploader, "gateway-2") == [1], 5)
            assert _installed(uploader, "gateway-1") == []
            dev_server.wait_until(lambda: _installed(uploader, "gateway-1") == [1], LONGEST_TICK + 3)
            log.warning("repaired by the tick after %.2f s", time.monotonic() - began)
            dev_server.wait_until(uploader.converged, 10)
        uploader.assert_invariants()


def _reported(uploader: Client, gateway: str) -> list[int]:
    of = tables.gateway_report.c
    with uploader.database.reading() as transaction:
        rows = transaction.execute(select(of.generation).where(of.gateway == gateway).order_by(of.id))
        return list(rows.scalars())


def _installed(uploader: Client, gateway: str) -> list[int]:
    lines = log_lines(uploader.services.folder, gateway)
    return [line["generation"] for line in lines if line["event"] == "installed"]
