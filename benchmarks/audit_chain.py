"""Verifying a long audit chain: every event is read and hashed; and what an append of one event costs."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.databases import KINDS
from benchmarks.rows import Row, spread
from trustcast.storage import audit, migrate
from trustcast.storage.audit import Actor, AuditEvent
from trustcast.storage.session import Database

EVENTS, LIMIT_SECONDS = 100_000, 5.0
_AT_ONCE = 1000


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row for each kind of database."""
    events, rounds, appends = (5_000, 1, 20) if quick else (EVENTS, 3, 100)
    for name, database_url in KINDS.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            database_url(Path(folder)) as url,
            closing(Database(url)) as database,
        ):
            migrate.upgrade(database)
            for _ in range(events // _AT_ONCE):
                _append(database, _AT_ONCE)
            seconds = [_verify(database, events) for _ in range(rounds)]
            single = [_append(database, 1) for _ in range(appends)]
        taken = statistics.median(seconds)
        yield Row(
            f"audit, {name}: verify a chain of {events:,} events",
            f"<= {LIMIT_SECONDS:g} s",
            f"{taken:.2f} s",
            taken <= LIMIT_SECONDS,
            {f"append_one_{key}_ms": value for key, value in spread(single).items()},
        )


def _append(database: Database, count: int) -> float:
    """Append events like those of uploads; return the milliseconds."""
    facts = {
        "operation": "0b51e6b2-6d3f-4c0a-9a53-0d0a3a0b8c11",
        "kind": "add",
        "alias": "billing",
        "endpoint": "https://billing.example:443",
        "sha256": "4f" * 32,
    }
    event = AuditEvent("operation.accepted", Actor("token:ci", -1234, "192.0.2.7"), facts)
    started = time.perf_counter()
    with database.writing() as transaction:
        audit.append(transaction, [event] * count, at=datetime.now(UTC))
        transaction.commit()
    return (time.perf_counter() - started) * 1000


def _verify(database: Database, events: int) -> float:
    started = time.perf_counter()
    with database.reading() as transaction:
        assert audit.verify(transaction).sequence == events
    return time.perf_counter() - started
