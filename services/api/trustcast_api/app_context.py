"""What the routes work with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from fastapi import Request

from trustcast.domain.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from trustcast.broker import Broker
    from trustcast.storage.session import Database
    from trustcast_api.commit_together import CommitTogether
    from trustcast_api.drainer import Drainer
    from trustcast_api.endings import Endings
    from trustcast_api.read_upload import Upload
    from trustcast_api.refusals import Refusals
    from trustcast_api.settings import Settings
    from trustcast_api.tokens import Tokens

T = TypeVar("T")
_SMALL = 8 * 1024  # bytes: a certificate and its issuers


@dataclass(frozen=True, slots=True)
class Context:
    """One per application, wired in `app.py`."""

    database: Database
    broker: Broker
    drainer: Drainer
    tokens: Tokens
    settings: Settings
    refusals: Refusals
    endings: Endings
    together: CommitTogether
    reader: Executor

    @property
    def policy(self) -> Policy:
        """The rules for what comes in, where a tenant has none of its own; the worker decides by the same setting."""
        return Policy(certificates_per_endpoint=self.settings.per_endpoint)

    async def read(self, reading: Callable[[Upload], T], upload: Upload) -> T:
        """Return what `reading` makes of an upload; it takes milliseconds at most, whatever was sent.

        A small one is read at once, in less time than two threads take to hand it over and back. All others are read in
        one thread: Python lets one run at a time, and many that take turns cost more than they bring.
        """
        if upload.size() <= _SMALL:
            return reading(upload)
        return await asyncio.get_running_loop().run_in_executor(self.reader, reading, upload)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)


async def context(request: Request) -> Context:
    """Return the application's context. It is async because FastAPI takes a thread for whatever is not."""
    return cast("Context", request.app.state.context)
