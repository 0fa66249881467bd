"""SQLite as several processes can use it: which one, which journal, and how to wait for its lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sqlalchemy import Connection
else:
    # Python brings the SQLite of its distribution, often one in which write-ahead logging is not safe for several
    # connections. pysqlite3 is the same module with a new SQLite inside; where it has no wheel, Python's own serves.
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3

WRITING = "trustcast_writing"
DriverError = sqlite3.DatabaseError  # what our own begin and commit raise, which SQLAlchemy does not see
_BUSY_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.0003, 0.002  # at first, at most


def version() -> str:
    """Return the version of the SQLite in use, such as `3.53.4`."""
    return sqlite3.sqlite_version


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """Return `WAL` where several connections may use it safely (fixed in 3.51.3, 3.50.7, 3.44.6), else `TRUNCATE`.

    Source: SQLite's note on the WAL-reset bug. TRUNCATE is the rollback journal without creating and deleting
    a file for each commit.
    """
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "WAL" if fixed else "TRUNCATE"


def engine_options() -> dict[str, Any]:
    """Return what `create_engine` needs to know."""
    return {"module": sqlite3, "connect_args": {"timeout": _BUSY_SECONDS, "factory": _PatientConnection}}


def prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Set a new connection up; SQLAlchemy's `connect` event."""
    connection.isolation_level = None  # pysqlite's implicit BEGIN would start reads that cannot turn into writes
    cursor = connection.cursor()
    # SQLite's own busy handler does not wait where two connections make a new file's journal a WAL at once.
    _patiently(lambda: cursor.execute(f"PRAGMA journal_mode = {journal_mode()}"))
    cursor.execute("PRAGMA synchronous = FULL")  # or a 202 can be forgotten
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16384")
    cursor.execute("PRAGMA busy_timeout = 0")  # from here on see `_patiently`
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction, one that may write if the connection has the option `WRITING`; SQLAlchemy's `begin`."""
    driver = cast("_PatientConnection", connection.connection.driver_connection)
    driver.begin(writing=connection.get_execution_options().get(WRITING, False))


class _PatientConnection(sqlite3.Connection):
    """The locks of a transaction are taken at its begin and its commit, so these two wait for them."""

    def begin(self, *, writing: bool) -> None:
        """Begin and take the lock, which a plain BEGIN leaves to the first statement."""
        if writing:
            _patiently(lambda: self.execute("BEGIN IMMEDIATE"))
        else:
            self.execute("BEGIN")
            _patiently(lambda: self.execute("SELECT 1 FROM sqlite_master").fetchone())

    def commit(self) -> None:
        """Commit; with a rollback journal that waits for the last reader."""
        _patiently(super().commit)


def _patiently(take: Callable[[], object]) -> None:
    """Call `take` until the file is not locked.

    SQLite's own busy handler naps 1, 2, 5, 10, 15, 20, 25 ms between two looks. An upload takes a dozen transactions of
    a millisecond each in several processes, and those naps were a third of its way to the gateways.
    """
    until = time.monotonic() + _BUSY_SECONDS
    pause, longest = _LOOK_AGAIN_SECONDS
    while True:
        try:
            take()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(pause)
        pause = min(pause * 1.1, longest)
