"""Child processes that are kept alive: named and started again when they die, stopped within a given time.

One thread a child waits for it. A child is the leader of its own process group, so that a Ctrl-C in the terminal
reaches only the supervisor and that nothing which a child started outlives it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trustcast_cli import leash

# What children write is for the same user alone, wherever the data folder lies.
PRIVATE_UMASK = 0o077


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep alive. `log` takes its stdout and stderr, `pid_file` its process id while it runs."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    pid_file: Path


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a child is started again: `first`, doubled with each death in a row, at most `longest`.

    A child that lived for `steady` seconds starts from `first` again.
    """

    first: float = 0.2
    longest: float = 10.0
    steady: float = 10.0

    def seconds(self, deaths_in_a_row: int) -> float:
        """Return the pause after the given number of deaths, counted from 1."""
        return float(min(self.first * 2 ** min(deaths_in_a_row - 1, 32), self.longest))


class Supervisor:
    """Keeps children alive. `say` takes a sentence about each death; `pass_fds` stay open in the children."""

    def __init__(
        self, *, say: Callable[[str], None], backoff: Backoff | None = None, pass_fds: tuple[int, ...] = ()
    ) -> None:
        self._say = say
        self._backoff = backoff or Backoff()
        self._pass_fds = pass_fds
        self._kept: dict[str, _Kept] = {}

    def start(self, child: Child) -> None:
        """Start a child that is not running and keep it alive until `stop`."""
        self._kept[child.name] = _Kept(child, say=self._say, backoff=self._backoff, pass_fds=self._pass_fds)

    def stop(self, names: Iterable[str], *, within: float) -> None:
        """Stop the named children together: SIGTERM to each, SIGKILL to those left after `within` seconds."""
        stopping = [kept for name in names if (kept := self._kept.pop(name, None))]
        for kept in stopping:
            kept.stop()
        deadline = time.monotonic() + within
        for kept in stopping:
            kept.join(deadline - time.monotonic())
        for kept in stopping:
            kept.kill()

    def names(self) -> tuple[str, ...]:
        """Return the names of the children that are kept alive, in the order of their start."""
        return tuple(self._kept)

    def pid(self, name: str) -> int | None:
        """Return the child's process id, or None between a death and the next start."""
        return self._kept[name].pid()

    def deaths(self, name: str) -> int:
        """Return how often the child died since its `start`."""
        return self._kept[name].deaths

    def started_at(self, name: str) -> float:
        """Return the wall-clock time, in seconds since 1970, of the child's latest start."""
        return self._kept[name].started_at


class _Kept:
    def __init__(
        self, child: Child, *, say: Callable[[str], None], backoff: Backoff, pass_fds: tuple[int, ...]
    ) -> None:
        self._child = child
        self._say = say
        self._backoff = backoff
        self._pass_fds = pass_fds
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.started_at = time.time()
        self._tried = threading.Event()
        # This thread starts the process, too: to the kernel the thread is the parent whose end is signalled (prctl(2)).
        self._thread = threading.Thread(target=self._keep, name=f"keep {child.name}", daemon=True)
        self._thread.start()
        self._tried.wait()

    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def stop(self) -> None:
        with self._lock:
            self._stopping.set()
        # To the child alone: how its own children end is its business, as long as it has time.
        if (pid := self.pid()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def join(self, seconds: float) -> None:
        self._thread.join(max(seconds, 0))

    def kill(self) -> None:
        if (pid := self.pid()) is not None:
            _signal_group(pid, signal.SIGKILL)
        self._thread.join()

    def _keep(self) -> None:
        in_a_row = 0
        while not self._stopping.is_set():
            ending = self._run_once()
            if self._stopping.is_set():
                return
            self.deaths += 1
            in_a_row = 1 if time.time() - self.started_at > self._backoff.steady else in_a_row + 1
            pause = self._backoff.seconds(in_a_row)
            self._say(f"{self._child.name} died ({ending}); starting it again in {pause:g} s.")
            self._stopping.wait(pause)

    def _run_once(self) -> str:
        try:
            process = self._spawn()
        except OSError as error:
            return f"could not be started: {error.strerror}"
        finally:
            self._tried.set()
        code = process.wait()
        _signal_group(process.pid, signal.SIGKILL)  # what it left behind, such as a worker's pool
        with contextlib.suppress(OSError):
            self._child.pid_file.unlink()
        return how_it_ended(code)

    def _spawn(self) -> subprocess.Popen[bytes]:
        child = self._child
        with self._lock, child.log.open("ab") as log:
            self.started_at = time.time()
            self._process = process = subprocess.Popen(
                [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *child.command],
                env=dict(child.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                umask=PRIVATE_UMASK,
                pass_fds=self._pass_fds,
            )
            if self._stopping.is_set():  # stop() came just before and found nothing to signal
                process.kill()
        with contextlib.suppress(OSError):  # on a full disk the child still runs
            child.pid_file.write_text(f"{process.pid}\n", encoding="ascii")
        return process


def how_it_ended(code: int) -> str:
    """Say a process' return code: `exit status 2` or the signal's name."""
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _signal_group(leader: int, number: signal.Signals) -> None:
    # macOS answers EPERM for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
