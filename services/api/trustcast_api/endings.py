"""Tells everybody who waits for an operation's end or its verdict, by one look at the database for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Unavailable
from trustcast.domain.operation import ENDED
from trustcast.storage import operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trustcast.domain.operation import State
    from trustcast.storage.session import Database

_LOOK_EVERY_SECONDS = 0.02


class Endings:
    """One per process. It looks as long as somebody waits, and no more often however many do.

    The verdict falls in another process and hints may be lost: this looks at the truth.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._awaited: dict[asyncio.Future[None], tuple[str, frozenset[State]]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def wait(self, operation: str, *, seconds: float, until: frozenset[State] = ENDED) -> None:
        """Return once the operation with this id is in one of `until`, or after `seconds`. Raises `Unavailable`."""
        ending = asyncio.get_running_loop().create_future()
        self._awaited[ending] = operation, until
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
                states = await run_in_threadpool(self._states, {operation for operation, _ in self._awaited.values()})
            except Unavailable as error:
                self._tell_all(error)
            else:
                self._tell(states)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _tell(self, states: Mapping[str, State]) -> None:
        for ending, (operation, until) in self._awaited.items():
            if states.get(operation) in until and not ending.done():
                ending.set_result(None)

    def _tell_all(self, error: Unavailable) -> None:
        for ending in self._awaited:
            if not ending.done():
                ending.set_exception(error)

    def _states(self, ids: set[str]) -> dict[str, State]:
        with self._database.reading() as transaction:
            return operations.states(transaction, ids)
