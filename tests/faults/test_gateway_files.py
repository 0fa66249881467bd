"""The listener is killed while it writes: who reads a gateway's files sees one whole truststore or another."""

from __future__ import annotations

import contextlib
import logging
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import dev_server
from tests.faults.listener import listening
from tests.faults.uploads import Client, running
from tests.invariants import log_lines, managed_digest, recomputed
from trustcast_cli import free_port, sample_home
from trustcast_cli.data_folder import ENVIRONMENT, DataFolder
from trustcast_cli.services import Services

log = logging.getLogger("faults")
GATEWAY = "gateway-1"
KILLS = 8


def test_an_install_killed_between_truststore_and_profiles_is_completed_at_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path / "data", gateways=1) as uploader:
        services = uploader.services
        truststore = services.folder.truststore(GATEWAY)
        services.stop(GATEWAY)
        _kill_between_the_two(uploader)
        half_done = truststore.stat()
        assert "died" in dev_server.managed(services.folder, GATEWAY)

        nobody = f"http://127.0.0.1:{free_port.checked('127.0.0.1', 0)}"
        with listening(services, GATEWAY, TRUSTCAST_API_URL=nobody):
            dev_server.wait_until(lambda: _profiles_are_newer(services.folder))
        assert truststore.stat() == half_done
        services.start(GATEWAY)
        dev_server.wait_until(uploader.converged)
        uploader.assert_invariants()


def test_no_reader_ever_sees_a_torn_or_unsigned_truststore(tmp_path: Path, chance: random.Random) -> None:
    with running(tmp_path / "data", gateways=1) as uploader:
        services = uploader.services
        services.stop(GATEWAY)
        with ThreadPoolExecutor(1) as thread, _reading_all_the_time(services.folder.truststore(GATEWAY)) as seen:
            uploading = thread.submit(_upload_for_a_while, uploader, random.Random(chance.random()))
            for start in range(KILLS):
                with listening(services, GATEWAY):
                    _wait_until_it_hears(services, start + 1)
                    time.sleep(chance.uniform(0, 0.5))
            uploading.result()
            services.start(GATEWAY)
            uploader.upload("last")
            dev_server.wait_until(uploader.converged)
        with uploader.database.reading() as transaction:
            signed = recomputed(transaction, ENVIRONMENT)
        generation_of = {digest: generation for generation, digest in signed.items()}
        generations = [generation_of[managed_digest(data)] for data in seen]
        contents = len(seen)
        log.warning("%d different contents seen, of %d generations", contents, len(signed))

        assert contents > KILLS
        assert generations == sorted(generations)
        assert _files(services.folder) == {sample_home.TRUSTSTORE.name, sample_home.SSL_PROFILES.name}
        uploader.assert_invariants()


def _kill_between_the_two(uploader: Client) -> None:
    """Kill the listener when its truststore is new and its profiles are not; the moment is short, so try often."""
    for attempt in range(30):
        with listening(uploader.services, GATEWAY) as listener:
            _wait_until_it_hears(uploader.services, attempt + 1)
            time.sleep(0.2)  # the refresh that follows
            uploader.upload("died" if attempt == 0 else f"died-{attempt}")
            _kill_when_replaced(listener, uploader.services.folder.truststore(GATEWAY))
        if not _profiles_are_newer(uploader.services.folder):
            log.warning("killed between the two at attempt %d", attempt + 1)
            return
    raise AssertionError("no kill fell between truststore and profiles")


def _wait_until_it_hears(services: Services, times: int) -> None:
    def connections() -> int:
        return sum(line["event"] == "hints_connected" for line in log_lines(services.folder, GATEWAY))

    before = 1  # the services' own listener was the first
    dev_server.wait_until(lambda: connections() == before + times)


def _kill_when_replaced(listener: subprocess.Popen[bytes], path: Path) -> None:
    before, deadline = path.stat().st_mtime_ns, time.monotonic() + 10
    while path.stat().st_mtime_ns == before:
        assert time.monotonic() < deadline
    listener.kill()
    listener.wait()


def _profiles_are_newer(folder: DataFolder) -> bool:
    """What makes the gateway load its truststore."""
    profiles = folder.gateway_home(GATEWAY) / sample_home.SSL_PROFILES
    return profiles.stat().st_mtime_ns > folder.truststore(GATEWAY).stat().st_mtime_ns


@contextlib.contextmanager
def _reading_all_the_time(path: Path) -> Iterator[list[bytes]]:
    """Read a file in a loop; gives each content that was seen, in order."""
    stop, seen = threading.Event(), [path.read_bytes()]

    def read() -> None:
        while not stop.wait(0.0005):
            if (data := path.read_bytes()) != seen[-1]:
                seen.append(data)

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read)
        try:
            yield seen
        finally:
            stop.set()
        reading.result()


def _upload_for_a_while(uploader: Client, chance: random.Random) -> None:
    for number in range(60):
        uploader.upload(f"backend-{number}")
        time.sleep(chance.uniform(0, 0.12))


def _files(folder: DataFolder) -> set[str]:
    return {path.name for path in folder.truststore(GATEWAY).parent.iterdir()}
