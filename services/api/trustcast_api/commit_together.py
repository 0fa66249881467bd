"""Requests that arrive together are written down in one commit: what a commit costs, a sync to disk, they share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from trustcast.domain.errors import Unavailable
from trustcast_api.accept_request import accept_requests
from trustcast_api.settings import MOST_SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from trustcast.storage.operations import Operation
    from trustcast.storage.session import Database
    from trustcast_api.accept_request import Asked
    from trustcast_api.settings import Unregistered

_MOST = 100  # in one commit, so that the first does not wait long for the last
_GATHER_SECONDS = 0.002

_Waiting = tuple["Asked", "asyncio.Future[Operation]"]


class _WritingEndedError(Exception):
    """Nobody knows whether the request was written down. With its Idempotency-Key it may be sent again."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("the task that writes requests down ended")
        self.__cause__ = cause


class CommitTogether:
    """One per process. It begins as soon as somebody asks; whoever comes meanwhile is in the next commit.

    So a lone request waits for nobody. After a commit for several the next one waits two milliseconds, for clients
    that were answered just now and ask again: one commit for all takes far less of the processor than two for half of
    them each. `accepted` is called, in a thread, after each commit.
    """

    def __init__(
        self,
        database: Database,
        *,
        unregistered: Unregistered,
        most_scheduled: int = MOST_SCHEDULED,
        now: Callable[[], datetime],
        accepted: Callable[[], None],
    ) -> None:
        self._database, self._now, self._accepted = database, now, accepted
        self._unregistered, self._most_scheduled = unregistered, most_scheduled
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        # Of its own: those threads that all routes share may be busy with what takes longer.
        self._thread = ThreadPoolExecutor(1, "accepting")

    async def accept(self, asked: Asked) -> Operation:
        """Return the operation once it is committed. Raises what `accept_request` raises.

        Whoever stops waiting for it changes nothing.
        """
        done: asyncio.Future[Operation] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_while_somebody_waits())
        return await done

    async def stop(self) -> None:
        """End once everything that was asked for is written down."""
        if self._writing is not None:
            await self._writing
        self._thread.shutdown()

    async def _write_while_somebody_waits(self) -> None:
        group: list[_Waiting] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                asked = [one for one, _ in group]
                results = await asyncio.get_running_loop().run_in_executor(self._thread, self._written, asked)
                for (_, done), result in zip(group, results, strict=True):
                    _tell(done, result)
                if len(group) > 1:
                    await asyncio.sleep(_GATHER_SECONDS)
        except BaseException as error:
            # Whoever waited now would wait for ever; whoever comes next has a writer of its own again.
            waiting, self._waiting = [*group, *self._waiting], []
            for _, done in waiting:
                _tell(done, _WritingEndedError(error))
            raise
        finally:
            self._writing = None

    def _written(self, asked: Sequence[Asked]) -> list[Operation | Exception]:
        try:
            results = accept_requests(
                self._database,
                asked,
                at=self._now(),
                unregistered=self._unregistered,
                most_scheduled=self._most_scheduled,
            )
        except Unavailable as error:
            return [error for _ in asked]
        except Exception as error:  # noqa: BLE001 - it is raised where the request is answered
            # Somebody brought what nobody expected; the others are not to suffer for it.
            return [error] if len(asked) == 1 else [one for each in asked for one in self._written([each])]
        self._accepted()
        return [*results]


def _tell(done: asyncio.Future[Operation], result: Operation | Exception) -> None:
    if done.done():  # nobody waits any more
        return
    done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)
