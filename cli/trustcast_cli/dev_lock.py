"""A file that belongs to one `trustcast dev` at a time: its data folder's, and the one beside its SQLite database.

The lock is flock(2)'s and its descriptor goes to the children, so it lasts until the last of them ended, also when
`dev` itself was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from trustcast_cli.errors import CannotRun

ORPHANS_END_WITHIN = 10.0


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[int]:
    """Lock the file and yield its descriptor; `what` names in a sentence what belongs to its holder.

    Raises `CannotRun` if another `dev` that runs holds it, `OSError` if the file cannot be made.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(lock, what)
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int, what: str) -> None:
    deadline = time.monotonic() + ORPHANS_END_WITHIN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = int(os.pread(lock, 20, 0) or 0)
            if _alive(owner) or time.monotonic() > deadline:
                raise CannotRun(f"{what} is in use by another `trustcast dev`, process {owner}.") from None
            time.sleep(0.05)  # its owner was killed and its children are about to end
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
