"""`python -m trustcast_api.reading`: read what comes through the pipe, one after another, until its end."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback

from trustcast import log
from trustcast.domain.errors import Rejected
from trustcast_api.reading import wire
from trustcast_api.reading.limits import MEMORY_BYTES, seconds
from trustcast_api.reading.readings import BY_NAME
from trustcast_api.request import REFUSAL


def main() -> None:
    """Serve the process that started this one. It ends with it, or when a body goes beyond its limits."""
    log.configure("api")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what was sent, a key perhaps, is not to be on disk
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else writes does not write there
    while True:
        try:
            frame = wire.receive(asked)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds(frame))  # of computing; then SIGPROF ends the process
        answer = _answer(frame)
        signal.setitimer(signal.ITIMER_PROF, 0)
        wire.send(answers, answer)


def _answer(frame: bytes) -> bytes:
    """The first letter says which: `v`alue, `r`efused, `m`emory, or `b`ug, whose message may hold what was sent."""
    name, _, argument = frame.partition(b"\n")
    try:
        return b"v" + BY_NAME[name.decode()].answered(argument)
    except Rejected as refused:
        return b"r" + REFUSAL.dump_json(refused)
    except MemoryError:
        return b"m"
    except Exception as error:  # noqa: BLE001 - it is raised at the other end
        places = [f"{one.name} ({one.filename}:{one.lineno})" for one in traceback.extract_tb(error.__traceback__)]
        return b"b" + f"{type(error).__name__} in {' < '.join(reversed(places))}".encode()


if __name__ == "__main__":
    main()
