"""Change something and answer, once for each Idempotency-Key: change, audit and answer stand in one commit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from trustcast.storage import idempotency

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: status, JSON body (None: no body) and headers; JSON values only, so that it can be kept."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def use_of(who: Principal, key: str | None, *asked: Any) -> idempotency.Use | None:
    """Return the use of `key` for what is asked (JSON values that tell this request from any other), None without one.

    Whatever somebody sends as a key, it is not kept as it came.
    """
    if key is None:
        return None
    request = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return idempotency.Use(who.tenant_id, who.name, hashlib.sha256(key.encode()).hexdigest(), request)


def once(
    database: Database, use: idempotency.Use | None, work: Callable[[Connection], Answer], *, at: datetime
) -> Answer:
    """Do `work` in a transaction and return its answer, or the answer that the same key got before.

    `work` writes, appends to the audit chain and does not commit; what it raises leaves nothing behind.
    Raises `KeyReusedError`, `Unavailable` and whatever `work` raises.
    """
    try:
        return _once(database, use, work, at)
    except IntegrityError:
        # Somebody committed between our look and our insert: now what they did is there to be found.
        return _once(database, use, work, at)


def _once(
    database: Database, use: idempotency.Use | None, work: Callable[[Connection], Answer], at: datetime
) -> Answer:
    with database.writing() as transaction:
        if use is not None and (earlier := idempotency.take(transaction, use, at=at)) is not None:
            return Answer(**earlier)
        answer = work(transaction)
        if use is not None:
            idempotency.answer(transaction, use, asdict(answer))
        transaction.commit()
    return answer
