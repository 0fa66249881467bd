"""The database's schema, kept by Alembic.

People run `trustcast db upgrade`; containers, which have no command line, `python -m trustcast.storage upgrade`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from trustcast.domain.errors import Conflict, Unavailable
from trustcast.storage.tables import certificate, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Inspector, Table

    from trustcast.storage.session import Database

_ADVISORY_LOCK = 0x7472757374  # "trust"; any number nobody else takes


def upgrade(database: Database) -> str:
    """Bring the schema to this version and return its revision; processes that do so at once take turns.

    Raises `Conflict`: `database_occupied` where tables of these names are somebody else's, `database_newer` where a
    newer version was here before.
    """
    config = configuration()
    with database.writing() as transaction:
        if not database.is_sqlite:
            transaction.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a migration elsewhere may take its time
            transaction.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        _refuse_what_is_not_ours(transaction)
        config.attributes["connection"] = transaction
        command.upgrade(config, "head")
        transaction.commit()
    return _newest()


def check(database: Database) -> None:
    """Raise `Unavailable("database_not_migrated")` unless the schema is this version's."""
    with database.reading() as transaction:
        found = _revision(transaction)
    if found != _newest():
        raise Unavailable(
            "database_not_migrated",
            f"The database's schema is at {found or 'nothing'}, this version needs {_newest()}: "
            "run `trustcast db upgrade`, or `python -m trustcast.storage upgrade` in a container.",
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """A table that is not there, or only without these columns."""

    table: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in words."""
        if not self.columns:
            return f"table {self.table}"
        return f"{'column' if len(self.columns) == 1 else 'columns'} {', '.join(self.columns)} of {self.table}"


def missing(database: Database) -> list[Missing]:
    """Return what the tables of this version have and the database has not; `AM_CERTIFICATE_METADATA` first.

    Names are compared without case, since PostgreSQL folds those that are not quoted.
    """
    with database.reading() as transaction:
        inspector = inspect(transaction)
        names = {name.lower(): name for name in inspector.get_table_names()}
        tables = sorted(metadata.tables.values(), key=lambda one: (one is not certificate, one.name))
        there = {one: _columns(inspector, names.get(one.name.lower())) for one in tables}
    compared = [(one.name, columns, _without(one, columns or set())) for one, columns in there.items()]
    return [Missing(name, () if columns is None else lacks) for name, columns, lacks in compared if lacks]


def _columns(inspector: Inspector, table: str | None) -> set[str] | None:
    return None if table is None else {column["name"].lower() for column in inspector.get_columns(table)}


def _without(table: Table, columns: set[str]) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name.lower() not in columns)


def _refuse_what_is_not_ours(transaction: Connection) -> None:
    found = _revision(transaction)
    if found is None:
        theirs = {name.lower() for name in inspect(transaction).get_table_names()}
        if same := sorted(name for name in metadata.tables if name.lower() in theirs):
            raise Conflict(
                "database_occupied",
                f"The database has tables that Trustcast did not make: {', '.join(same)}. "
                "Give Trustcast a database, or a schema, of its own.",
            )
    elif found not in {one.revision for one in ScriptDirectory.from_config(configuration()).walk_revisions()}:
        raise Conflict(
            "database_newer",
            f"The database's schema is at {found}, which this version does not know: a newer one was here before.",
        )


def _revision(transaction: Connection) -> str | None:
    return MigrationContext.configure(transaction).get_current_revision()


def configuration() -> Config:
    """Return Alembic's configuration: where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def _newest() -> str:
    return ScriptDirectory.from_config(configuration()).get_current_head() or ""
