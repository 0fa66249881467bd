"""Tokens that were made here: who may speak, until when, and as whom. Only their hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from trustcast.domain.errors import NotFound
from trustcast.storage.tables import gateway, tenant, token

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it may be shown. `token_sha256` is the SHA-256 of its text in hexadecimal; times are in UTC."""

    id: str
    tenant_id: int
    name: str
    token_sha256: str
    scopes: tuple[str, ...]
    alias_prefixes: tuple[str, ...] | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


_COLUMNS = [token.c[name] for name in Token.__dataclass_fields__]


def add(transaction: Connection, new: Token) -> None:
    """Write a new token down. A hash that is known fails on its uniqueness; ask `is_known` first."""
    values = {name: getattr(new, name) for name in Token.__dataclass_fields__}
    prefixes = None if new.alias_prefixes is None else list(new.alias_prefixes)
    transaction.execute(insert(token).values(values | {"scopes": list(new.scopes), "alias_prefixes": prefixes}))


def is_known(transaction: Connection, token_sha256: str) -> bool:
    """Tell whether somebody has, or had, the token with this hash: a person, a program or a gateway."""
    made = select(token.c.id).where(token.c.token_sha256 == token_sha256)
    enrolled = select(gateway.c.name).where(gateway.c.token_sha256 == token_sha256)
    return transaction.execute(made.union_all(enrolled)).first() is not None


def get(transaction: Connection, id: str) -> tuple[Token, str]:  # noqa: A002 - the field's name
    """Return a token and its tenant's domain. Raises `NotFound("token_not_found")`."""
    row = transaction.execute(_with_domain().where(token.c.id == id)).one_or_none()
    if row is None:
        raise NotFound("token_not_found", "There is no token with this id; GET /v1/tokens lists those there are.")
    return _token(row), row.domain


def page(transaction: Connection, *, limit: int, offset: int) -> tuple[list[tuple[Token, str]], int]:
    """Return one page of tokens with their tenants' domains, newest first, and how many there are in all."""
    total = transaction.execute(select(func.count()).select_from(token)).scalar_one()
    newest_first = _with_domain().order_by(token.c.created_at.desc(), token.c.id)
    return [(_token(row), row.domain) for row in transaction.execute(newest_first.limit(limit).offset(offset))], total


def good(transaction: Connection, hashes: Collection[str], *, at: datetime) -> list[Token]:
    """Return the tokens with these hashes that are neither revoked nor expired."""
    of = token.c
    wanted = of.token_sha256.in_(hashes), of.revoked_at.is_(None), of.expires_at > at
    rows = transaction.execute(select(*_COLUMNS).where(*wanted))
    return [_token(row) for row in rows]


def revoke(transaction: Connection, id: str, *, at: datetime) -> bool:  # noqa: A002
    """Make a token good for nothing; tell whether it was good for something. It stays on record."""
    mine = token.c.id == id, token.c.revoked_at.is_(None)
    return transaction.execute(update(token).where(*mine).values(revoked_at=at)).rowcount == 1


def _with_domain() -> Any:
    return select(*_COLUMNS, tenant.c.domain).join(tenant, tenant.c.id == token.c.tenant_id)


def _token(row: Any) -> Token:
    values = {name: getattr(row, name) for name in Token.__dataclass_fields__}
    prefixes = None if row.alias_prefixes is None else tuple(row.alias_prefixes)
    return Token(**values | {"scopes": tuple(row.scopes), "alias_prefixes": prefixes})
