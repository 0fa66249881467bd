"""Tells everybody who waits for an operation's end, by one look at the database for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Unavailable
from trustcast.storage import operations

if TYPE_CHECKING:
    from trustcast.storage.session import Database

_LOOK_EVERY_SECONDS = 0.02


class Endings:
    """One per process. It looks as long as somebody waits, and no more often however many do.

    The verdict falls in another process and hints may be lost: this looks at the truth.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._awaited: dict[asyncio.Future[None], str] = {}
        self._watch: asyncio.Task[None] | None = None

    async def wait(self, operation: str, *, seconds: float) -> None:
        """Return once the operation with this id has ended, or after `seconds`. Raises `Unavailable`."""
        ending = asyncio.get_running_loop().create_future()
        self._awaited[ending] = operation
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_while_somebody_waits())
        try:
            await asyncio.wait_for(ending, seconds)
        except TimeoutError:
            return
        finally:
            del self._awaited[ending]

    async def _look_while_somebody_waits(self) -> None:
        while self._awaited:
            try:
                over = await run_in_threadpool(self._over, set(self._awaited.values()))
            except Unavailable as error:
                self._tell(error, set(self._awaited.values()))
            else:
                self._tell(None, over)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _tell(self, error: Unavailable | None, ids: set[str]) -> None:
        for ending, operation in self._awaited.items():
            if operation in ids and not ending.done():
                ending.set_result(None) if error is None else ending.set_exception(error)

    def _over(self, ids: set[str]) -> set[str]:
        with self._database.reading() as transaction:
            return operations.ended(transaction, ids)
