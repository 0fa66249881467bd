"""The places where a few bodies are read at once, and who is let in next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from trustcast_api.body import Body, too_many


@dataclass(eq=False, slots=True)
class _Reader:
    """Somebody who reads a body, or waits for a place to do so."""

    body: Body
    tenant: int | None
    let_in: asyncio.Event = field(default_factory=asyncio.Event)


class Places:
    """Where some bodies are read at once. Of those who wait, the tenant is first that has the fewest places."""

    def __init__(self, number: int, turn: float, hurried_rate: int) -> None:
        self._number, self._turn, self._hurried_rate = number, turn, hurried_rate
        self._of_one_tenant = max(1, number // 2)
        self._inside, self._waiting = list[_Reader](), list[_Reader]()

    @contextlib.asynccontextmanager
    async def one(self, body: Body, tenant: int | None) -> AsyncIterator[None]:
        """Hold a place. Raises `Unavailable`."""
        reader = _Reader(body, tenant)
        self._waiting.append(reader)
        try:
            self._fill()
            await self._turn_of(reader)
            yield
        finally:
            (self._inside if reader in self._inside else self._waiting).remove(reader)
            self._fill()

    def _fill(self) -> None:
        while len(self._inside) < self._number:
            may = [one for one in self._waiting if self._has(one.tenant) < self._of_one_tenant]
            if not may:
                return
            first = min(may, key=lambda one: self._has(one.tenant))
            self._waiting.remove(first)
            self._inside.append(first)
            first.let_in.set()

    def _has(self, tenant: int | None) -> int:
        return sum(one.tenant == tenant for one in self._inside)

    async def _turn_of(self, reader: _Reader) -> None:
        if reader.let_in.is_set():
            return
        before = {one: (one.body.received, one.body.waited()) for one in self._inside}
        if await self._is_let_in(reader):
            return
        if not reader.body.dropped:
            self._drop_slowest(before, reader.tenant)
        if not await self._is_let_in(reader):
            raise too_many()

    async def _is_let_in(self, reader: _Reader) -> bool:
        with contextlib.suppress(TimeoutError):
            await reader.body.wait_for(reader.let_in.wait, self._turn)
        return reader.let_in.is_set() and not reader.body.dropped

    def _drop_slowest(self, before: Mapping[_Reader, tuple[int, float]], tenant: int | None) -> None:
        """Drop who was below the hurried rate; not who had to wait for us. A tenant with all its places pays itself."""
        own = self._has(tenant) >= self._of_one_tenant
        rates = dict[_Reader, float]()
        for one in self._inside:
            if one in before and not one.body.dropped and (one.tenant == tenant or not own):
                received, waited = before[one]
                seconds = one.body.waited() - waited
                if seconds > self._turn / 2:
                    rates[one] = (one.body.received - received) / seconds
        slowest = min(rates, key=rates.__getitem__, default=None)
        if slowest is not None and rates[slowest] < self._hurried_rate:
            slowest.body.drop()
