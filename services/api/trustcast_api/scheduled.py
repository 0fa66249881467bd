"""How many requests of one tenant may wait for their `activate_at`; the worker passes by all of them each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.storage import unended
from trustcast_api.problems import TooManyError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast_api.request import Request


class Scheduled:
    """What waits in one transaction. It is counted once for a tenant, and only where something is to be scheduled.

    Processes that commit at the same time do not see each other's, so a few more may wait than `most`.
    """

    def __init__(self, transaction: Connection, most: int, *, at: datetime) -> None:
        self._transaction, self._most, self._at = transaction, most, at
        self._counts = dict[int, int]()

    def add(self, tenant_id: int, request: Request) -> None:
        """Count one in, if it is to be applied later. Raises `TooManyError("too_many_scheduled")`."""
        if request.activate_at is None or request.activate_at <= self._at:
            return
        if tenant_id not in self._counts:
            self._counts[tenant_id] = unended.scheduled(self._transaction, tenant_id, at=self._at)
        if self._counts[tenant_id] >= self._most:
            raise TooManyError(
                "too_many_scheduled",
                "As many requests wait for their activate_at as a tenant may have; call some off, or send this one "
                "when its time has come.",
                field="activate_at",
            )
        self._counts[tenant_id] += 1
