"""Children are small real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev_server import runs, wait_until
from trustcast_cli.supervise import Backoff, Child, Supervisor

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS
WITH_GRANDCHILD = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]).pid); {SLEEPS}"


class Watched:
    """A supervisor together with what it said and the children it was given."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.folder = folder
        self.supervisor = Supervisor(say=self.said.append, backoff=Backoff(first=0.05, longest=0.2, steady=5))

    def start(self, name: str, source: str) -> None:
        """Start a child and wait for its first output, that is until its signal handlers are in place."""
        command = (sys.executable, "-c", source)
        child = Child(name, command, dict(os.environ), self.log(name), self.folder / f"{name}.pid")
        self.supervisor.start(child)
        wait_until(lambda: b"up" in self.log(name).read_bytes())

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.stop(watched.supervisor.names(), within=0)


def test_a_killed_child_is_named_and_started_again(watched: Watched) -> None:
    watched.start("worker", SLEEPS)
    first = watched.supervisor.pid("worker")
    assert first is not None

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: watched.supervisor.pid("worker") not in {None, first})
    assert watched.said == ["worker died (SIGKILL); starting it again in 0.05 s."]


def test_a_child_that_keeps_dying_is_started_less_and_less_often(watched: Watched) -> None:
    watched.start("api", "print('up'); raise SystemExit(3)")

    wait_until(lambda: len(watched.said) >= 4)

    pauses = [sentence.removeprefix("api died (exit status 3); starting it again in ") for sentence in watched.said[:4]]
    assert pauses == ["0.05 s.", "0.1 s.", "0.2 s.", "0.2 s."]


def test_a_stopped_child_stays_stopped_without_a_word(watched: Watched) -> None:
    watched.start("redis", SLEEPS)
    pid = watched.supervisor.pid("redis")

    watched.supervisor.stop(["redis"], within=5)

    assert not runs(pid)
    assert watched.said == []
    assert watched.supervisor.names() == ()


def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_over(watched: Watched) -> None:
    watched.start("deaf", DEAF)
    pid = watched.supervisor.pid("deaf")
    began = time.monotonic()

    watched.supervisor.stop(["deaf"], within=0.3)

    assert not runs(pid)
    assert 0.3 <= time.monotonic() - began < 2


def test_children_stop_together_not_one_after_the_other(watched: Watched) -> None:
    for name in ("deaf-1", "deaf-2", "deaf-3"):
        watched.start(name, DEAF)
    began = time.monotonic()

    watched.supervisor.stop(watched.supervisor.names(), within=0.6)

    assert time.monotonic() - began < 1.6


def test_what_a_killed_child_started_ends_with_it(watched: Watched) -> None:
    watched.start("worker", WITH_GRANDCHILD)
    log = watched.log("worker")
    wait_until(lambda: re.search(r"\d+", log.read_text(encoding="ascii")) is not None)
    grandchild = int(re.sub(r"\D", "", log.read_text(encoding="ascii")))
    assert runs(grandchild)
    first = watched.supervisor.pid("worker")
    assert first is not None

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: not runs(grandchild))


def test_the_pid_file_names_the_running_process_and_goes_with_it(watched: Watched) -> None:
    watched.start("api", SLEEPS)
    pid_file = watched.folder / "api.pid"
    assert int(pid_file.read_text(encoding="ascii")) == watched.supervisor.pid("api")

    watched.supervisor.stop(["api"], within=5)

    assert not pid_file.exists()


def test_a_command_that_does_not_exist_is_named_in_the_log(watched: Watched) -> None:
    log = watched.log("lost")
    child = Child("lost", ("/no/such/server",), dict(os.environ), log, watched.folder / "lost.pid")

    watched.supervisor.start(child)

    wait_until(lambda: bool(watched.said))
    assert "/no/such/server cannot be run: No such file or directory" in log.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux")
def test_children_end_when_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    source = f"""
import os, sys, time
from pathlib import Path
from tests.dev_server import runs, wait_until
from trustcast_cli.supervise import Child, Supervisor
folder = Path({str(tmp_path)!r})
supervisor = Supervisor(say=print)
supervisor.start(Child("api", (sys.executable, "-c", {SLEEPS!r}), dict(os.environ), folder / "log", folder / "pid"))
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", source]) as supervisor:
        wait_until(lambda: (tmp_path / "log").exists() and b"up" in (tmp_path / "log").read_bytes())
        child = int((tmp_path / "pid").read_text(encoding="ascii"))

        supervisor.kill()

    wait_until(lambda: not runs(child))
