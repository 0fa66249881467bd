"""Read certificates that are soon to be applied, while another process applies those before them."""

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
    """Remember what the next two batches bring, one for each of two processes. Raises `Unavailable`.

    Reading takes as long as all the rest of applying, and whoever applies keeps all others from writing.
    """
    with database.reading() as transaction:
        ders = in_turn.coming(transaction, limit=2 * BATCH, at=at)
    for der in ders:
        with contextlib.suppress(Rejected):
            parsed(der)
