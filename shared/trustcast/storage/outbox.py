"""The outbox: what the broker is still owed. State and the intent to tell others go into one commit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import delete, insert, select

from trustcast.domain import messages
from trustcast.domain.messages import TruststoreChanged
from trustcast.storage.tables import outbox

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.messages import Message
    from trustcast.storage.session import Database

BATCH = 1000


class Broker(Protocol):
    """Whoever takes messages: `trustcast.broker.Broker`, or a list in a test."""

    def publish(self, message: Message, event: str) -> None:
        """Hand over one event. Raises `Unavailable` if the broker did not take it."""


def add(transaction: Connection, message: Message, *, source: str, at: datetime) -> None:
    """Owe the broker `message`, from the moment this transaction commits."""
    event = messages.encode(message, id=str(uuid.uuid4()), source=source, at=at)
    transaction.execute(insert(outbox).values(event=event, created_at=at))


def drain(database: Database, broker: Broker) -> int:
    """Hand what is owed to the broker, oldest first, and strike it off; return how many rows left the outbox.

    A hint says "look again", so of several that say the same only the newest is sent. A row leaves only after the
    broker took it: a crash in between sends twice, which harms nobody. Raises `Unavailable`, keeping the rows.
    """
    with database.reading() as transaction:
        rows = transaction.execute(select(outbox.c.id, outbox.c.event).order_by(outbox.c.id).limit(BATCH)).all()
    if not rows:
        return 0
    for message, event in _coalesced(row.event for row in rows):
        broker.publish(message, event)
    with database.writing() as transaction:
        transaction.execute(delete(outbox).where(outbox.c.id.in_([row.id for row in rows])))
        transaction.commit()
    return len(rows)


def _coalesced(events: Iterable[str]) -> Iterable[tuple[Message, str]]:
    newest: dict[tuple[str, str], tuple[Message, str]] = {}
    for event in events:
        message = messages.decode(event)
        whom = message.environment if isinstance(message, TruststoreChanged) else ""
        newest[message.type, whom] = (message, event)
    return newest.values()
