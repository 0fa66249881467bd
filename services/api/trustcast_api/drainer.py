"""Hands the outbox over right after each commit, without making the client wait for the broker."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from trustcast.domain.errors import Unavailable
from trustcast.domain.messages import OperationAccepted, OperationValidated
from trustcast.storage import outbox

if TYPE_CHECKING:
    from trustcast.storage.outbox import Broker
    from trustcast.storage.session import Database

log = structlog.get_logger("trustcast.api")

# The second is owed by whoever changes an API or an environment.
_OURS = (OperationAccepted, OperationValidated)
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 2.0
_GATHER_SECONDS, _LONGEST_GATHER_SECONDS = 0.01, 0.1


class Drainer:
    """One thread that drains when it is woken, so that a burst of commits becomes few messages.

    A broker that is away costs one line in the log and is tried again with growing pauses, for as long as it takes.
    """

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database, self._broker = database, broker
        self._woken, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Start, with what an earlier process may have left behind."""
        self._woken.set()
        self._thread.start()

    def wake(self) -> None:
        """Something was committed."""
        self._woken.set()

    def stop(self) -> None:
        """End; what is still owed is the sweep's."""
        self._stopping = True
        self._woken.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        pause: float | None = None
        gather = _GATHER_SECONDS
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            if self._stopping:
                return
            pause = self._drain(pause)
            # What is committed in this moment goes with the next message. As long as there is some each time, twice as
            # long: in a burst a few wake-ups with much to do leave the database to the uploads. A lone one meets it
            # never.
            time.sleep(gather)
            gather = min(2 * gather, _LONGEST_GATHER_SECONDS) if self._woken.is_set() else _GATHER_SECONDS

    def _drain(self, pause: float | None) -> float | None:
        """Drain; return the seconds until the next try, None if nothing is owed any more."""
        try:
            for owed in _OURS:
                while outbox.drain(self._database, self._broker, only=[owed]) == outbox.BATCH:
                    pass
        except Unavailable as error:
            if pause is None:
                log.warning("outbox_waits", code=error.code, detail=error.detail)
        except Exception:  # this thread's edge: a bug must not silence every upload after it
            log.exception("unexpected")
        else:
            return None
        return min((pause or _FIRST_RETRY_SECONDS / 2) * 2, _LONGEST_RETRY_SECONDS)
