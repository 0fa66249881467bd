"""The outbox: what the broker is still owed. State and the intent to tell others go into one commit."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert, select

from trustcast.domain import messages
from trustcast.domain.errors import Rejected
from trustcast.domain.messages import CertificateExpiring, TruststoreChanged
from trustcast.storage.tables import outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.messages import Message
    from trustcast.storage.session import Database

BATCH = 1000
ALL = tuple(messages.BY_TYPE.values())


class Broker(Protocol):
    """Whoever takes messages: `trustcast.broker.Broker`, or a list in a test."""

    def publish(self, message: Message, event: str) -> None:
        """Hand over one event. Raises `Unavailable` if the broker did not take it."""


def add(transaction: Connection, message: Message, *, source: str, at: datetime) -> None:
    """Owe the broker `message`, from the moment this transaction commits."""
    event = messages.encode(message, id=str(uuid.uuid4()), source=source, at=at)
    transaction.execute(insert(outbox).values(type=message.type, event=event, created_at=at))


def drain(database: Database, broker: Broker, *, only: Collection[type[Message]] = ALL) -> int:
    """Hand what is owed to the broker, oldest first, and strike it off; return how many rows left the outbox.

    A hint says "look again", so of several that say the same only the newest is sent. A row leaves only after the
    broker took it: a crash in between sends twice, which harms nobody. An event that only a newer version understands
    waits for that version. Raises `Unavailable`, keeping the rows.

    Right after a commit send `only` what it owes: of what others owe, they are about to send it, in their own measure.
    """
    types = [one.type for one in only]
    owing = select(outbox.c.id, outbox.c.event).where(outbox.c.type.in_(types)).order_by(outbox.c.id).limit(BATCH)
    with database.reading() as transaction:
        rows = transaction.execute(owing).all()
    owed = list(_understood(rows))
    if not owed:
        return 0
    for message, event in _coalesced((message, event) for _, message, event in owed):
        broker.publish(message, event)
    with database.writing() as transaction:
        transaction.execute(delete(outbox).where(outbox.c.id.in_([row for row, _, _ in owed])))
        transaction.commit()
    return len(owed)


def _understood(rows: Iterable[Any]) -> Iterable[tuple[int, Message, str]]:
    for row in rows:
        with contextlib.suppress(Rejected):
            yield row.id, messages.decode(row.event), row.event


def _coalesced(owed: Iterable[tuple[Message, str]]) -> Iterable[tuple[Message, str]]:
    newest: dict[tuple[str, object], tuple[Message, str]] = {}
    for message, event in owed:
        newest[message.type, _about(message)] = (message, event)
    return newest.values()


def _about(message: Message) -> object:
    """Return what tells a hint from another of its type; a wake-up is for everything that waits."""
    match message:
        case TruststoreChanged():
            return message.environment
        case CertificateExpiring():
            return message.tenant_id, message.alias
        case _:
            return None
