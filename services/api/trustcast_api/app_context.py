"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from fastapi import Request

from trustcast.domain.policy import Policy

if TYPE_CHECKING:
    from trustcast.broker import Broker
    from trustcast.storage.session import Database
    from trustcast_api.commit_together import CommitTogether
    from trustcast_api.drainer import Drainer
    from trustcast_api.endings import Endings
    from trustcast_api.reading.reader import Reader
    from trustcast_api.refusals import Refusals
    from trustcast_api.settings import Settings
    from trustcast_api.tokens import Tokens


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
    reader: Reader  # of one at a time, milliseconds each
    batch_reader: Reader  # of many at once: key stores, lines

    @property
    def policy(self) -> Policy:
        """The rules for what comes in, where a tenant has none of its own; the worker decides by the same setting."""
        return Policy(certificates_per_endpoint=self.settings.per_endpoint)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)


async def context(request: Request) -> Context:
    """Return the application's context. It is async because FastAPI takes a thread for whatever is not."""
    return cast("Context", request.app.state.context)
