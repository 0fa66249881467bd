"""What end-to-end tests and benchmarks run against: the services of `trustcast dev`, in one of two ways.

`running_dev` starts the command itself as a child process. Its children can be killed by name (`pid`) and come back.
`running_services` runs the same services in this process' hands, so that one can be held down: `stop("redis")` …
`start("redis")`. Both yield something with `url`, `folder`, `gateways`, `admin_token`, `names` and `pid(name)`; `admin`
makes a client for it. The names are `redis`, `api`, `worker`, `gateway-1`, `gateway-2` …
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from trustcast.keystore import jks
from trustcast_cli import data_folder, free_port, services
from trustcast_cli.data_folder import DataFolder
from trustcast_cli.services import Services

READY_WITHIN = 60.0
STOPS_WITHIN = 10.0


@dataclass
class Dev:
    """A running `trustcast dev`."""

    process: subprocess.Popen[str]
    folder: DataFolder
    gateways: tuple[str, ...]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_token(self) -> str:
        return self.folder.admin_token.read_text(encoding="ascii").strip()

    @property
    def names(self) -> tuple[str, ...]:
        return ("redis", "api", "worker", *self.gateways)

    def pid(self, name: str) -> int | None:
        """Return a child's process id, None while it does not run."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self.folder.pid_file(name).read_text(encoding="ascii"))
        return None

    def stderr(self) -> str:
        """Return what dev has said on stderr so far."""
        return (self.folder.path / "dev.stderr").read_text(encoding="utf-8")


def admin(running: Dev | Services) -> httpx.Client:
    """Return a client that speaks to the api as the admin."""
    headers = {"Authorization": f"Bearer {running.admin_token}"}
    return httpx.Client(base_url=running.url, headers=headers, timeout=15, trust_env=False)


def command(folder: Path, *, port: int, gateways: int = 3) -> list[str]:
    """Return the command line of `trustcast dev`."""
    options = ["--data-dir", str(folder), "--port", str(port), "--gateways", str(gateways)]
    return [sys.executable, "-m", "trustcast_cli", "dev", *options]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process' environment without Trustcast's settings, plus `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRUSTCAST_")} | dict(extra or {})


@contextlib.contextmanager
def running_dev(
    folder: Path, *, gateways: int = 3, port: int = 0, env: Mapping[str, str] | None = None
) -> Iterator[Dev]:
    """Run `trustcast dev` on the folder until the end and yield it when it is ready; port 0: a free one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or free_port.checked("127.0.0.1", 0)
    names = tuple(f"gateway-{number}" for number in range(1, gateways + 1))
    with (folder / "dev.stderr").open("a", encoding="utf-8") as stderr:
        arguments = command(folder, port=port, gateways=gateways)
        process = subprocess.Popen(arguments, env=environment(env), stdout=subprocess.PIPE, stderr=stderr, text=True)
    dev = Dev(process, DataFolder(folder.resolve()), names, port)
    with process:
        try:
            _read_ready_line(dev)
            yield dev
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN + 5)
            finally:
                process.kill()


@contextlib.contextmanager
def running_services(
    folder: Path, *, gateways: int = 3, port: int = 0, env: Mapping[str, str] | None = None
) -> Iterator[Services]:
    """Run the services on the folder, each to be stopped and started by name; yield when all are ready."""
    port = port or free_port.checked("127.0.0.1", 0)
    with services.running(folder, port=port, gateways=gateways, environ=environment(env), say=print) as running:
        running.wait_until_ready()
        yield running


def managed(folder: DataFolder, gateway: str) -> dict[str, str]:
    """Return what Trustcast manages in a gateway's truststore file: alias -> certificate SHA-256, read by pyjks."""
    data = folder.truststore(gateway).read_bytes()
    ours = {entry.alias for entry in jks.read(data, data_folder.TRUSTSTORE_PASSWORD) if entry.is_ours}
    found = jks.second_reading(data, data_folder.TRUSTSTORE_PASSWORD)
    return {alias: fingerprint for alias, fingerprint in found.items() if alias in ours}


def wait_until(condition: Callable[[], bool], seconds: float = 15, *, every: float = 0.02) -> None:
    """Return when the condition holds; fail the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(every)


def runs(pid: int | None) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _read_ready_line(dev: Dev) -> None:
    assert dev.process.stdout is not None
    if not select.select([dev.process.stdout], [], [], READY_WITHIN)[0]:
        raise AssertionError(f"dev is not ready: {dev.stderr()}")
    line = dev.process.stdout.readline()
    assert line == f"Trustcast is ready: {dev.url}\n", line or dev.stderr()
