"""Read certificates that are soon to be applied, before all others are kept from writing for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trustcast.domain.errors import Rejected
from trustcast.storage import in_turn
from trustcast_worker.apply_changes import BATCH
from trustcast_worker.parsed import parsed

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast.storage.session import Database


def read_ahead(database: Database, *, at: datetime) -> None:
    """Remember what the next batch brings. Raises `Unavailable`.

    Reading a certificate that another process has validated takes a third of the time in which it is applied.
    """
    with database.reading() as transaction:
        ders = in_turn.coming(transaction, limit=BATCH, at=at)
    for der in ders:
        with contextlib.suppress(Rejected):
            parsed(der)
