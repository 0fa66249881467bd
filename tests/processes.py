"""Services as processes of their own, started by their module's name, with their logs in files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STOPS_WITHIN = 10.0


@dataclass
class Service:
    """A running service; `log` is all it said on standard error."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to end, as a supervisor does; return its exit status."""
        self.process.terminate()
        return self.process.wait(STOPS_WITHIN)


@contextmanager
def running(module: str, environ: Mapping[str, str], log: Path) -> Iterator[Service]:
    """Run `python -m module`, told `environ` and nothing else of Trustcast's; it is killed at the end."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTCAST_")}
    with log.open("ab") as stderr:
        command = [sys.executable, "-m", module]
        process = subprocess.Popen(
            command, env=told | dict(environ), stdin=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
    try:
        yield Service(process, log)
    finally:
        # Its whole group: Celery's beat is a process of its own and outlives a worker that was killed.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(module: str, environ: Mapping[str, str], log: Path) -> tuple[int, str]:
    """Run a service that cannot start; return its exit status and what it said."""
    with running(module, environ, log) as service:
        status = service.process.wait(30)
    return status, log.read_text(encoding="utf-8")


def until(true: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait until `true()` is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
