"""What a listener needs to get from the generation it has to the newest one."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from trustcast.storage import blobs, truststores

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.session import Database


def read_changes(database: Database, environment: str, *, after: int) -> bytes:
    """Return JSON `{head, after, changes}`: the newest head and the net change from generation `after` to it.

    `after` 0 gives all. `head` is null before the first generation. The answer needs no trust: the listener computes
    the digest and compares it with the head. Raises `NotFound`, `Unavailable`.
    """
    with database.reading() as transaction:
        head = truststores.newest_head(transaction, environment)
        if head is None:
            truststores.status(transaction, environment)  # raises if there is no such environment
        changes = _all(transaction, environment) if after == 0 else _since(transaction, environment, after)
    envelope = json.loads(head.envelope) if head else None
    return json.dumps({"head": envelope, "after": after, "changes": changes}, separators=(",", ":")).encode()


def _all(transaction: Connection, environment: str) -> list[dict[str, str]]:
    return [_put(alias, der) for alias, der in truststores.certificates(transaction, environment)]


def _since(transaction: Connection, environment: str, after: int) -> list[dict[str, str]]:
    net = truststores.changes(transaction, environment, after=after)
    ders = blobs.read(transaction, net.put.values())
    put = [_put(alias, ders[sha256]) for alias, sha256 in sorted(net.put.items())]
    return [*put, *({"change": "remove", "alias": alias} for alias in sorted(net.remove))]


def _put(alias: str, der: bytes) -> dict[str, str]:
    return {"change": "put", "alias": alias, "certificate": base64.b64encode(der).decode("ascii")}
