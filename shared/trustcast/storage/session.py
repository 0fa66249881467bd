"""Units of work on SQLite and PostgreSQL: leaving one without `commit()` rolls it back."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trustcast.domain.errors import Unavailable
from trustcast.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WRITING = "trustcast_writing"
_BUSY_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.0003, 0.002  # at first, at most


class Database:
    """The way to the database at `url` (SQLAlchemy form: `sqlite:///…` or `postgresql+psycopg://…`).

    Connects when it is first used, so it may be made before a fork and used after it. Everything that is wrong with
    the database itself (down, locked, full) comes out as `Unavailable("database_unavailable")`.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            self.engine = create_engine(parsed, **_options(sqlite=self.is_sqlite))
        except (ArgumentError, NoSuchModuleError, ImportError):
            raise SettingsError("The database URL is not one of sqlite:///… or postgresql+psycopg://….") from None
        self._one_writer: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self.is_sqlite:
            # Threads queue here; processes meet in `_patiently`.
            self._one_writer = threading.Lock()
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that may write, from its first statement on (SQLite: BEGIN IMMEDIATE)."""
        with self._one_writer, _as_unavailable(), self.engine.connect() as connection:
            yield connection.execution_options(**{_WRITING: True})

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the database and changes nothing."""
        with _as_unavailable(), self.engine.connect() as connection:
            if self.is_sqlite:
                yield connection
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, sqlite3.OperationalError) as error:
        raise Unavailable("database_unavailable", f"The database does not answer: {_reason(error)}.") from error
    except DBAPIError as error:
        if type(error) is DatabaseError:  # and none of its kinds: SQLite's "file is not a database", "malformed"
            raise Unavailable("database_unavailable", f"The database does not answer: {_reason(error)}.") from error
        if not error.connection_invalidated:
            raise
        raise Unavailable("database_unavailable", "The connection to the database broke.") from error


def _reason(error: Exception) -> str:
    """Return the driver's first line; never the statement or its parameters."""
    return (str(getattr(error, "orig", None) or error).splitlines() or ["no reason given"])[0].rstrip(".")


def _options(*, sqlite: bool) -> dict[str, Any]:
    if sqlite:
        return {"connect_args": {"timeout": _BUSY_SECONDS, "factory": _PatientConnection}, "hide_parameters": True}
    return {
        "pool_pre_ping": True,
        "pool_timeout": 10,
        "hide_parameters": True,
        "connect_args": {"connect_timeout": 5},
    }


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Journal by SQLite's version: write-ahead logging can corrupt in 3.7.0-3.51.2 but for the fixed branches."""
    connection.isolation_level = None  # pysqlite's implicit BEGIN would start reads that cannot turn into writes
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    cursor.execute("PRAGMA synchronous = FULL")  # or a 202 can be forgotten
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16384")
    cursor.execute("PRAGMA busy_timeout = 0")  # from here on see `_patiently`
    cursor.close()


def journal_mode(version: tuple[int, ...]) -> str:
    """Return `WAL` where several connections may use it safely (fixed in 3.51.3, 3.50.7, 3.44.6), else `TRUNCATE`.

    Source: SQLite's note on the WAL-reset bug. TRUNCATE is the rollback journal without creating and deleting
    a file for each commit.
    """
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "WAL" if fixed else "TRUNCATE"


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


def _begin_sqlite(connection: Connection) -> None:
    driver = cast("_PatientConnection", connection.connection.driver_connection)
    driver.begin(writing=connection.get_execution_options().get(_WRITING, False))
