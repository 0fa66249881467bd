"""Idempotency keys: the same request sent again gets the answer that it already got.

The key is written in the transaction of the change, so a crash between commit and answer repeats the answer.
Source: IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from trustcast.domain.errors import Rejected
from trustcast.storage.tables import idempotency_key

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


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


def earlier(transaction: Connection, use: Use) -> dict[str, Any] | None:
    """Return the answer that this key got, None if the key is new. Raises `KeyReusedError`."""
    of = idempotency_key.c
    row = transaction.execute(
        select(of.answer, of.request_sha256).where(
            of.tenant_id == use.tenant_id, of.principal == use.principal, of.key == use.key
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != use.request_sha256:
        raise KeyReusedError
    return dict(row.answer)


def keep(transaction: Connection, use: Use, *, answer: dict[str, Any], at: datetime) -> None:
    """Remember what the key got: `{operation}` or `{status, headers, body}`. A concurrent twin fails on the key."""
    transaction.execute(insert(idempotency_key).values(**asdict(use), answer=answer, created_at=at))
