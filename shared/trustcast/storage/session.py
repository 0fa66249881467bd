"""Units of work on SQLite and PostgreSQL: leaving one without `commit()` rolls it back."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trustcast.domain.errors import Unavailable
from trustcast.settings import SettingsError
from trustcast.storage import sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sized

    from sqlalchemy.engine import ExceptionContext

# A client that hangs or loses its power in the middle of a transaction must not hold up all the others: nobody waits
# longer than this for a lock, and the server ends what stands idle and what no longer answers.
_POSTGRESQL: dict[str, Any] = {
    "pool_pre_ping": True,
    "pool_timeout": 10,
    "connect_args": {
        "connect_timeout": 5,
        "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=15s -c tcp_keepalives_idle=10 "
        "-c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    },
}
_LONG_LIST = 100  # parameters
_READ_ONLY, _ENDED_WHILE_IDLE = "25006", "25P03"  # PostgreSQL's SQLSTATEs: a standby, and the timeout above


class Database:
    """The way to the database at `url` (SQLAlchemy form: `sqlite:///…` or `postgresql+psycopg://…`).

    Connects when it is first used, so it may be made before a fork and used after it. Everything that is wrong with
    the database itself (down, locked, full) comes out as `Unavailable("database_unavailable")`.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            options = sqlite.engine_options() if self.is_sqlite else _POSTGRESQL
            self.engine = create_engine(parsed, hide_parameters=True, **options)
        except (ArgumentError, NoSuchModuleError, ImportError):
            raise SettingsError("The database URL is not one of sqlite:///… or postgresql+psycopg://….") from None
        event.listen(self.engine, "handle_error", _forget_the_row)
        self._one_writer: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self.is_sqlite:
            # Threads queue here; processes wait for the file.
            self._one_writer = threading.Lock()
            event.listen(self.engine, "connect", sqlite.prepare)
            event.listen(self.engine, "begin", sqlite.begin)
        else:
            event.listen(self.engine, "do_execute", _plan_long_lists)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that may write, from its first statement on (SQLite: BEGIN IMMEDIATE)."""
        with self._one_writer, _as_unavailable(), self.engine.connect() as connection:
            yield connection.execution_options(**{sqlite.WRITING: True})

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


def _plan_long_lists(cursor: Any, statement: str, parameters: Sized, _context: object) -> bool:
    """Have a statement with a long list planned for the list that it has; the driver would soon prepare it.

    PostgreSQL's plan for a prepared one compares any list with each row of a table, value by value: 100 ms for a list
    of 500 and 8,000 rows, where 2 ms are enough.
    """
    if len(parameters) < _LONG_LIST or hasattr(cursor, "name"):  # a cursor on the server's side is never prepared
        return False
    cursor.execute(statement, parameters, prepare=False)
    return True


def _forget_the_row(failed: ExceptionContext) -> None:
    """Leave the first line of what the database says: PostgreSQL's DETAIL holds the values of the row at fault."""
    if isinstance(failed.sqlalchemy_exception, DBAPIError):
        for error in (failed.original_exception, failed.sqlalchemy_exception):
            error.args = tuple(str(one).partition("\n")[0] for one in error.args)


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, sqlite.DriverError) as error:
        raise Unavailable("database_unavailable", f"The database does not answer: {_reason(error)}.") from error
    except DBAPIError as error:
        if type(error) is DatabaseError:  # and none of its kinds: SQLite's "file is not a database", "malformed"
            raise Unavailable("database_unavailable", f"The database does not answer: {_reason(error)}.") from error
        if not error.connection_invalidated and _state(error) not in {_READ_ONLY, _ENDED_WHILE_IDLE}:
            raise
        raise Unavailable("database_unavailable", "The database ended the connection or takes no changes.") from error


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _reason(error: Exception) -> str:
    """Return the driver's first line; never the statement or its parameters."""
    return (str(getattr(error, "orig", None) or error).splitlines() or ["no reason given"])[0].rstrip(".")
