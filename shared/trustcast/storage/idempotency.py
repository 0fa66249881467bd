"""Idempotency keys: the same request sent again gets the operation that it already made.

The key is written in the transaction of the operation, so a crash between commit and answer repeats the answer.
Source: IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def earlier(transaction: Connection, *, tenant_id: int, principal: str, key: str, request_sha256: str) -> str | None:
    """Return the operation that this key made, None if the key is new. Raises `KeyReusedError`."""
    of = idempotency_key.c
    row = transaction.execute(
        select(of.operation, of.request_sha256).where(
            of.tenant_id == tenant_id, of.principal == principal, of.key == key
        )
    ).one_or_none()
    if row is not None and row.request_sha256 != request_sha256:
        raise KeyReusedError
    return row.operation if row else None


def keep(
    transaction: Connection,
    *,
    tenant_id: int,
    principal: str,
    key: str,
    request_sha256: str,
    operation: str,
    at: datetime,
) -> None:
    """Remember which operation the key made. A concurrent twin fails on the primary key."""
    transaction.execute(
        insert(idempotency_key).values(
            tenant_id=tenant_id,
            principal=principal,
            key=key,
            request_sha256=request_sha256,
            operation=operation,
            created_at=at,
        )
    )
