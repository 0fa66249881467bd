"""Work that the processes of one worker would only keep each other waiting with: one does it, also for the others."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class OneAtATime:
    """Made before the fork and shared by all children: who is asked while another works leaves it to that one.

    It only spares time. The system lets the turn of a killed process go, and its message comes again. Where processes
    share nothing (on other machines, or started in another way than by a fork), each has its own turn.
    """

    def __init__(self) -> None:
        self._turn, path = tempfile.mkstemp()
        Path(path).unlink()  # the children have it open
        weakref.finalize(self, os.close, self._turn)
        self._asked_again = mmap.mmap(-1, 1)

    def do(self, work: Callable[[], None]) -> None:
        """Call `work`, or have whoever is at it call it once more: it is begun after this call, in any case."""
        while self._take():
            try:
                self._asked_again[0] = 0
                work()
            finally:
                fcntl.lockf(self._turn, fcntl.LOCK_UN)
            if not self._asked_again[0]:
                return

    def _take(self) -> bool:
        if self._is_free():
            return True
        self._asked_again[0] = 1
        return self._is_free()  # or it was given back before we had asked

    def _is_free(self) -> bool:
        try:
            fcntl.lockf(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
