"""The api's end of the pipe to a process that reads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from trustcast.domain.errors import Rejected, TrustcastError, Unavailable
from trustcast_api.reading import wire
from trustcast_api.request import REFUSAL

if TYPE_CHECKING:
    from trustcast_api.reading.wire import Reading

log = structlog.get_logger("trustcast.api")

A = TypeVar("A")
T = TypeVar("T")

SMALL_BYTES: Final = 6 * 1024
"""A certificate, its issuer and the form around them."""
TOO_COSTLY: Final = (
    "Reading this takes more time or memory than any certificate needs; write it again with a tool of today "
    "(openssl x509 -in old.pem -out new.pem), or leave out what does not belong to the certificate."
)
_TOLD: Final = ("PYTHON", "LD_LIBRARY_PATH")  # of the environment; the rest may name what is secret
# What kills a process because of what it did, and not because somebody wanted it to end.
_OWN_FAULT: Final = {-signal.SIGPROF, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS}


class Reader:
    """One process, which reads one thing after another. It starts when it is needed, and again when it came to an end.

    Its methods may be called from any thread.
    """

    def __init__(self, *, most_waiting: int, module: str = "trustcast_api.reading") -> None:
        self._module = module
        self._thread = ThreadPoolExecutor(1, "reading")
        self._waiting = threading.BoundedSemaphore(most_waiting)
        self._process: subprocess.Popen[bytes] | None = None

    async def read(self, reading: Reading[A, T], argument: A, *, size: int | None = None) -> T:
        """Return what comes of an argument of so many bytes; None for one that may take long, however small it is.

        What is small is read here, in less time than it takes to hand it over and back. Raises `Rejected`, also with
        `too_costly`, and `Unavailable`, also where too many are waiting.
        """
        if size is not None and size <= SMALL_BYTES:
            return reading.here(argument)
        if not self._waiting.acquire(blocking=False):
            raise Unavailable("too_many_at_once", "Too many requests are being read at once; try again.")
        try:
            return await asyncio.wrap_future(self._thread.submit(self._ask, reading, argument))
        finally:
            self._waiting.release()

    def submit(self, reading: Reading[A, T], argument: A, *, size: int) -> Future[T]:
        """Begin to read, for somebody who sees to it themselves that not too many wait."""
        if size > SMALL_BYTES:
            return self._thread.submit(self._ask, reading, argument)
        done: Future[T] = Future()
        done.set_result(reading.here(argument))
        return done

    def start(self) -> None:
        """Start the process now, so that nobody has to wait for it."""
        self._thread.submit(self._running)

    def close(self) -> None:
        """End the process, once everything is read that was asked for."""
        self._thread.submit(self._end).result()
        self._thread.shutdown()

    def _ask(self, reading: Reading[A, T], argument: A) -> T:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - they are pipes
        try:
            wire.send(process.stdin, reading.asked(argument))
            answer = wire.receive(process.stdout)
        except (OSError, EOFError):
            raise self._ended(process) from None
        match answer[:1]:
            case b"v":
                return reading.result(answer[1:])
            case b"r":
                raise REFUSAL.validate_json(answer[1:])
            case b"m":
                raise _too_costly()
        raise RuntimeError(answer[1:].decode())

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - none of it comes from outside
                [sys.executable, "-P", "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if name.startswith(_TOLD)},
                start_new_session=True,  # Ctrl-C is for the api, which ends this in its time
            )
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> TrustcastError:
        """Say why nothing came back; the next one finds a new process."""
        self._end()
        log.error("reader_ended", status=process.returncode)
        if process.returncode in _OWN_FAULT:
            return _too_costly()
        return Unavailable("reader_ended", "The process that reads uploads came to an end; try again.")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.communicate()


def _too_costly() -> Rejected:
    return Rejected("too_costly", TOO_COSTLY)
