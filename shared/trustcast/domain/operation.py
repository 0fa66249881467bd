"""What may be asked for, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is asked for."""

    ADD = "add"
    REPLACE = "replace"
    DELETE = "delete"


class State(StrEnum):
    """received → validated → applied, or rejected, or failed."""

    RECEIVED = "received"
    VALIDATED = "validated"
    APPLIED = "applied"
    REJECTED = "rejected"
    FAILED = "failed"


ENDED = frozenset({State.APPLIED, State.REJECTED, State.FAILED})
JUDGED = ENDED | {State.VALIDATED}
PENDING = (State.RECEIVED, State.VALIDATED)
