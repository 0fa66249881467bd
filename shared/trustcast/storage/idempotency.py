"""Idempotency keys: the same request sent again gets the answer that it already got.

The key is written in the transaction of the change, so a crash between commit and answer repeats the answer.
A key is kept for `KEPT`, longer than anybody tries again. Source: IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trustcast.domain.errors import Rejected
from trustcast.storage.tables import idempotency_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

KEPT = timedelta(days=7)


class KeyReusedError(Rejected):
    """The key was used for another request."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "This Idempotency-Key was used for another request; take a new one.")


Name = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """A key in one principal's hands, and the SHA-256 of the request it came with."""

    tenant_id: int
    principal: str
    key: str
    request_sha256: str

    @property
    def name(self) -> Name:
        """What tells this key from any other, whatever it is used for."""
        return self.tenant_id, self.principal, self.key


@dataclass(frozen=True, slots=True)
class Kept:
    """What a key was used for, and the answer that it got."""

    request_sha256: str
    answer: dict[str, Any]

    def again(self, use: Use) -> dict[str, Any]:
        """Return the answer for the same request. Raises `KeyReusedError`."""
        if use.request_sha256 != self.request_sha256:
            raise KeyReusedError
        return self.answer


def take(transaction: Connection, use: Use, *, at: datetime) -> dict[str, Any] | None:
    """Return the answer that this key got, or take the key and return None: then `answer` it in this transaction.

    Take it before anything is looked at: a twin waits here until this transaction ends, and must not be refused for
    what the first has done. Raises `KeyReusedError`.
    """
    kept = take_all(transaction, [use], at=at).get(use.name)
    return None if kept is None else kept.again(use)


def take_all(transaction: Connection, uses: Iterable[Use], *, at: datetime) -> dict[Name, Kept]:
    """Take the keys that nobody used before; return what is kept of the others.

    They are taken in one order, or two that want the same ones could wait for each other.
    """
    first = {use.name: use for use in reversed([*uses])}
    if not first:
        return {}
    of = idempotency_key.c
    make = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
    new = make(idempotency_key).on_conflict_do_nothing().returning(of.tenant_id, of.principal, of.key)
    rows = [asdict(first[name]) | {"answer": {}, "created_at": at} for name in sorted(first)]
    taken = {(row.tenant_id, row.principal, row.key) for row in transaction.execute(new, rows)}
    return {name: _kept(transaction, name) for name in first if name not in taken}


def answer(transaction: Connection, use: Use, answer: dict[str, Any]) -> None:
    """Remember what the key got: `{operation}` or `{status, headers, body}`."""
    answer_all(transaction, {use: answer})


def answer_all(transaction: Connection, answers: Mapping[Use, dict[str, Any]]) -> None:
    """Remember what each key was used for and what it got."""
    if not answers:
        return
    mine = _of((bindparam("its_tenant"), bindparam("its_principal"), bindparam("its_key")))
    rows = [
        {"its_tenant": use.tenant_id, "its_principal": use.principal, "its_key": use.key}
        | {"request_sha256": use.request_sha256, "answer": answer}
        for use, answer in answers.items()
    ]
    transaction.execute(update(idempotency_key).where(*mine), rows)


def release(transaction: Connection, names: Iterable[Name]) -> None:
    """Give back keys that were taken in this transaction and are not to be kept."""
    for name in names:
        transaction.execute(delete(idempotency_key).where(*_of(name)))


def _kept(transaction: Connection, name: Name) -> Kept:
    of = idempotency_key.c
    row = transaction.execute(select(of.answer, of.request_sha256).where(*_of(name))).one()
    return Kept(row.request_sha256, dict(row.answer))


def _of(name: tuple[Any, Any, Any]) -> tuple[ColumnElement[bool], ...]:
    of, (tenant_id, principal, key) = idempotency_key.c, name
    return of.tenant_id == tenant_id, of.principal == principal, of.key == key


def any_older(transaction: Connection, *, than: datetime) -> bool:
    """Tell whether a key was used before `than`."""
    return bool(transaction.execute(select(exists().where(idempotency_key.c.created_at < than))).scalar_one())


def forget(transaction: Connection, *, before: datetime) -> None:
    """Let the keys go that were used before then."""
    transaction.execute(delete(idempotency_key).where(idempotency_key.c.created_at < before))
