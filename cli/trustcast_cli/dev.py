"""`trustcast dev`: the services until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from pathlib import Path

from trustcast_cli import services


def run(path: Path, *, port: int, gateways: int) -> None:
    """Run until SIGTERM, SIGHUP or Ctrl-C. Stdout gets one line, when everything is ready. Raises `CannotRun`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with services.running(path, port=port, gateways=gateways, say=tell, stopped=stop.is_set) as running:
        running.wait_until_ready()
        if not stop.is_set():
            print(f"Trustcast is ready: {running.url}", flush=True)
        stop.wait()


def tell(sentence: str) -> None:
    """Write a sentence for the person at the terminal, if it is still there."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)
