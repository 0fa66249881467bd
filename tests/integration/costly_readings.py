"""A process that reads as the api's does, but what nobody should have to: for `python -m`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from trustcast_api.reading.__main__ import main
from trustcast_api.reading.readings import BY_NAME
from trustcast_api.reading.wire import Reading


def endless(_what: str) -> str:
    while True:
        pass


def greedy(_what: str) -> str:
    return str(len(bytearray(2 * 1024**3)))


def broken(what: str) -> str:
    raise ValueError(what)


def killed(_what: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def crashed(_what: str) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return ""


def environment(_what: str) -> list[str]:
    return sorted(os.environ)


def files(_what: str) -> int:
    return len(list(Path("/proc/self/fd").iterdir())) - 1  # one is the folder's own


READINGS: dict[str, Reading[Any, Any]] = {
    one.__name__: Reading(one) for one in (endless, greedy, broken, killed, crashed, environment, files)
}

if __name__ == "__main__":
    BY_NAME.update(READINGS)
    main()
