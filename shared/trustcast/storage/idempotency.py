"""Idempotency keys: the same request sent again gets the answer that it already got.

The key is written in the transaction of the change, so a crash between commit and answer repeats the answer.
A key is kept for `KEPT`, longer than anybody tries again. Source: IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trustcast.domain.errors import Rejected
from trustcast.storage.tables import idempotency_key

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

KEPT = timedelta(days=7)


class KeyReusedError(Rejected):
    """The key was used for another request."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "This Idempotency-Key was used for another request; take a new one.")


@dataclass(frozen=True, slots=True)
class Use:
    """A key in one principal's hands, and the SHA-256 of the request it came with."""

    tenant_id: int
    principal: str
    key: str
    request_sha256: str


def take(transaction: Connection, use: Use, *, at: datetime) -> dict[str, Any] | None:
    """Return the answer that this key got, or take the key and return None: then `answer` it in this transaction.

    Take it before anything is looked at: a twin waits here until this transaction ends, and must not be refused for
    what the first has done. Raises `KeyReusedError`.
    """
    make = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
    new = make(idempotency_key).values(**asdict(use), answer={}, created_at=at)
    if transaction.execute(new.on_conflict_do_nothing().returning(idempotency_key.c.key)).first() is not None:
        return None
    of = idempotency_key.c
    row = transaction.execute(select(of.answer, of.request_sha256).where(*_of(use))).one()
    if row.request_sha256 != use.request_sha256:
        raise KeyReusedError
    return dict(row.answer)


def answer(transaction: Connection, use: Use, answer: dict[str, Any]) -> None:
    """Remember what the key got: `{operation}` or `{status, headers, body}`."""
    transaction.execute(update(idempotency_key).where(*_of(use)).values(answer=answer))


def _of(use: Use) -> tuple[ColumnElement[bool], ...]:
    of = idempotency_key.c
    return of.tenant_id == use.tenant_id, of.principal == use.principal, of.key == use.key


def any_older(transaction: Connection, *, than: datetime) -> bool:
    """Tell whether a key was used before `than`."""
    return bool(transaction.execute(select(exists().where(idempotency_key.c.created_at < than))).scalar_one())


def forget(transaction: Connection, *, before: datetime) -> None:
    """Let the keys go that were used before then."""
    transaction.execute(delete(idempotency_key).where(idempotency_key.c.created_at < before))
