"""Sign what each environment's truststore is, again and again, so that silence is noticed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trustcast.domain.head import LIFETIME, Head, HeadSigner
from trustcast.storage import truststores

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.session import Database

SIGN_AGAIN_AFTER = timedelta(minutes=3)


def sign_heads(database: Database, *, signer: HeadSigner, at: datetime) -> int:
    """Sign anew every head that is older than `SIGN_AGAIN_AFTER`; return how many. Raises `Unavailable`."""
    with database.writing() as transaction:
        due = [name for name in truststores.environments(transaction) if _is_due(transaction, name, at)]
        for name in due:
            status = truststores.status(transaction, name)
            if truststores.hold(transaction, name, expected=status.generation):
                sign(
                    transaction,
                    name,
                    signer=signer,
                    generation=status.generation,
                    entries=status.entries,
                    digest=status.entries_sha256,
                    at=at,
                )
        transaction.commit()
    return len(due)


def sign(
    transaction: Connection,
    environment: str,
    *,
    signer: HeadSigner,
    generation: int,
    entries: int,
    digest: str,
    at: datetime,
) -> None:
    """Sign one head and keep it. The caller holds the environment's fence."""
    previous = truststores.newest_head(transaction, environment)
    issued_at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    head = Head(
        environment=environment,
        generation=generation,
        entries=entries,
        entries_sha256=digest,
        previous_head_sha256=previous.payload_sha256 if previous else None,
        issued_at=issued_at,
        expires_at=issued_at + LIFETIME,
    )
    truststores.add_head(transaction, head, signer.sign(head))


def _is_due(transaction: Connection, environment: str, at: datetime) -> bool:
    newest = truststores.newest_head(transaction, environment)
    return newest is not None and newest.issued_at + SIGN_AGAIN_AFTER <= at
