"""What this node last verified: the newest head of its environment and the entries that it states.

One SQLite file, one commit per change, and only what changed is written. It survives a restart, so that neither a
restart nor a lying network takes the node back behind a generation that it has verified (the generation floor).

Which entries of the gateway's truststore are ours is not kept here: they carry a mark of their own (`jks.RawEntry`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from trustcast.domain.errors import Unavailable, Untrusted
from trustcast.domain.head import Head
from trustcast.domain.truststore import Truststore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FILE = "trusted.sqlite3"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE verified (environment TEXT PRIMARY KEY, generation INTEGER NOT NULL, entries INTEGER NOT NULL,
    entries_sha256 TEXT NOT NULL, previous_head_sha256 TEXT, issued_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    envelope BLOB NOT NULL);
CREATE TABLE held (one INTEGER PRIMARY KEY CHECK (one = 1), environment TEXT NOT NULL, generation INTEGER NOT NULL,
    entries_sha256 TEXT NOT NULL);
CREATE TABLE entry (alias TEXT PRIMARY KEY, der BLOB NOT NULL);
"""
log = structlog.get_logger("trustcast.gateway")


@dataclass(frozen=True, slots=True)
class Verified:
    """A changes answer that proved right: the head, and what its changes make of the entries.

    `put` maps aliases to certificates (DER). `after` is the generation that the changes start from; 0 replaces
    everything that is held.
    """

    head: Head
    envelope: bytes = field(repr=False)
    after: int
    put: Mapping[str, bytes] = field(repr=False)
    remove: frozenset[str]
    truststore: Truststore = field(repr=False)


class StateUnreadable(Exception):
    """The state file is damaged or not ours; the message says how SQLite puts it."""


class TrustedState:
    """The state of one node for one environment, for one thread at a time.

    `last` is the newest head that was ever verified for the environment, None before the first. `generation` and
    `truststore` are what is held: 0 and nothing before the first answer.
    """

    def __init__(self, database: sqlite3.Connection, environment: str) -> None:
        _prepare(database)
        self._database = database
        self._environment = environment
        self.last = self._last_verified()
        self.generation, self.truststore = self._held()

    @classmethod
    def open(cls, folder: Path, environment: str) -> TrustedState:
        """Open or make the state in `folder`, and keep every other process out of it until `close`.

        Raises `StateUnreadable` for a damaged file, `Unavailable("state_in_use" | "state_not_writable")`.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with ExitStack() as undoing:
                database = undoing.enter_context(closing(_opened(folder / FILE)))
                state = cls(database, environment)
                undoing.pop_all()
            return state
        except OSError as error:
            raise Unavailable(
                "state_not_writable", f"The state folder {folder} is not usable: {error.strerror}."
            ) from None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
                raise StateUnreadable(str(error)) from None
            raise _unavailable(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def certificates(self) -> Iterator[tuple[str, bytes]]:
        """Yield the held entries, alias and DER, sorted by alias."""
        yield from self._database.execute("SELECT alias, der FROM entry ORDER BY alias")

    def remember(self, head: Head, envelope: bytes) -> None:
        """Raise the floor to `head`, which proved genuine; what is held stays."""
        with self._transaction():
            self._write_head(head, envelope)
        self.last = head

    def keep(self, news: Verified) -> None:
        """Hold what `news` makes of the entries, in one commit with its head; then it may be installed."""
        with self._transaction():
            self._write_head(news.head, news.envelope)
            self._write_entries(news)
            self._database.execute(
                "INSERT OR REPLACE INTO held VALUES (1, ?, ?, ?)",
                (self._environment, news.head.generation, news.head.entries_sha256),
            )
        self.last, self.generation, self.truststore = news.head, news.head.generation, news.truststore

    def _write_head(self, head: Head, envelope: bytes) -> None:
        times = head.issued_at.isoformat(), head.expires_at.isoformat()
        numbers = head.generation, head.entries, head.entries_sha256, head.previous_head_sha256
        self._database.execute(
            "INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (head.environment, *numbers, *times, envelope),
        )

    def _write_entries(self, news: Verified) -> None:
        if news.after == 0:
            self._database.execute("DELETE FROM entry")
        self._database.executemany("DELETE FROM entry WHERE alias = ?", ((alias,) for alias in news.remove))
        self._database.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", news.put.items())

    def _last_verified(self) -> Head | None:
        row = self._database.execute(
            "SELECT environment, generation, entries, entries_sha256, previous_head_sha256, issued_at, expires_at "
            "FROM verified WHERE environment = ?",
            (self._environment,),
        ).fetchone()
        if row is None:
            return None
        environment, generation, entries, digest, previous, issued_at, expires_at = row
        return Head(
            environment=environment,
            generation=generation,
            entries=entries,
            entries_sha256=digest,
            previous_head_sha256=previous,
            issued_at=datetime.fromisoformat(issued_at),
            expires_at=datetime.fromisoformat(expires_at),
        )

    def _held(self) -> tuple[int, Truststore]:
        """Hash what is held. What is another environment's or does not hash to what was verified counts as nothing."""
        row = self._database.execute("SELECT environment, generation, entries_sha256 FROM held").fetchone()
        if row is None:
            return 0, Truststore()
        environment, generation, digest = row
        if environment != self._environment:
            log.warning("environment_changed", was=environment, environment=self._environment)
            return 0, Truststore()
        held = _hashed(self.certificates())
        if held is None or held.digest() != digest:
            log.error("held_entries_damaged", generation=generation, next="everything is fetched again")
            return 0, Truststore()
        return generation, held

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise _unavailable(error) from None
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")


def set_aside(folder: Path, at: datetime) -> Path:
    """Rename a damaged state, so that it can be looked at and a new one begins; return where it is now."""
    kept = folder / f"{FILE}.unreadable-{at:%Y%m%dT%H%M%S%fZ}"
    (folder / FILE).rename(kept)
    journal = folder / f"{FILE}-journal"
    if journal.exists():  # SQLite would play it into the new file
        journal.rename(folder / f"{kept.name}-journal")
    return kept


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2)


def _prepare(database: sqlite3.Connection) -> None:
    """Keep others out, sync each commit, make the tables; the rollback journal is right on every SQLite."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("BEGIN EXCLUSIVE")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _SCHEMA.split(";\n"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute("COMMIT")
    if version not in {0, SCHEMA_VERSION}:
        raise StateUnreadable(f"its version is {version}, not {SCHEMA_VERSION}")


def _hashed(entries: Iterable[tuple[str, bytes]]) -> Truststore | None:
    try:
        return Truststore({alias: hashlib.sha256(der).hexdigest() for alias, der in entries})
    except Untrusted:
        return None


def _unavailable(error: sqlite3.DatabaseError) -> Unavailable:
    code = error.sqlite_errorcode & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unavailable("state_in_use", "Another listener uses this state folder; give each its own.")
    if code == sqlite3.SQLITE_FULL:
        return Unavailable("disk_full", "The disk with the state folder is full.")
    return Unavailable("state_not_writable", f"The state folder cannot be written: {error}.")
