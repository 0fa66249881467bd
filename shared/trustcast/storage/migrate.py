"""The database's schema, kept by Alembic.

People run `trustcast db upgrade`; containers, which have no command line, `python -m trustcast.storage upgrade`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Text, column, inspect, select, table

from trustcast.domain.errors import Conflict, Unavailable
from trustcast.storage.tables import SUPER_TENANT, audit_tail, certificate, metadata, tenant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Inspector, Table

    from trustcast.storage.session import Database

_ADVISORY_LOCK = 0x7472757374  # "trust"; any number nobody else takes
_REVISION = table("alembic_version", column("version_num", Text))
_SEEDS = ((tenant, SUPER_TENANT), (audit_tail, 1))  # the rows of the first migration that nothing works without


def upgrade(database: Database) -> str:
    """Bring the schema to this version and return its revision; processes that do so at once take turns.

    Raises `Conflict`: `database_occupied` where tables of these names are somebody else's, `database_newer` where a
    newer version was here before. Raises `Unavailable("database_damaged")` where something was taken out of it, which
    no migration brings back.
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
    if lost := missing(database):
        raise _damaged(lost)
    return _newest()


def check(database: Database) -> None:
    """Look whether the schema is this version's and its tables are there: fast enough to be asked all the time.

    Raises `Unavailable`: `database_not_migrated`, or `database_damaged`. `missing` looks closer.
    """
    with database.reading() as transaction:
        names = _tables(inspect(transaction))
        found = _revision(transaction, names)
    if found != _newest():
        raise Unavailable(
            "database_not_migrated",
            f"The database's schema is at {found or 'nothing'}, this version needs {_newest()}: "
            "run `trustcast db upgrade`, or `python -m trustcast.storage upgrade` in a container.",
        )
    if lost := [Missing(one.name) for one in _expected() if one.name.lower() not in names]:
        raise _damaged(lost)


@dataclass(frozen=True, slots=True)
class Missing:
    """A table that is not there, or only without these columns, or without the row that it has from the start."""

    table: str
    columns: tuple[str, ...] = ()
    row: int | None = None

    def __str__(self) -> str:
        """Say it in words."""
        if self.row is not None:
            return f"row {self.row} of {self.table}"
        if not self.columns:
            return f"table {self.table}"
        return f"{'column' if len(self.columns) == 1 else 'columns'} {', '.join(self.columns)} of {self.table}"


def missing(database: Database) -> list[Missing]:
    """Return what this version needs and the database has not; `AM_CERTIFICATE_METADATA` first, rows last.

    Names are compared without case, since PostgreSQL folds those that are not quoted.
    """
    with database.reading() as transaction:
        inspector = inspect(transaction)
        names = _tables(inspector)
        there = {one: _columns(inspector, names.get(one.name.lower())) for one in _expected()}
        asked = [(one, id_) for one, id_ in _SEEDS if one.c.id.name in (there[one] or ())]
        rows = [Missing(one.name, row=id_) for one, id_ in asked if not _has(transaction, one, id_)]
    compared = [(one.name, columns, _without(one, columns or set())) for one, columns in there.items()]
    return [Missing(name, () if columns is None else lacks) for name, columns, lacks in compared if lacks] + rows


def _expected() -> list[Table]:
    return sorted(metadata.tables.values(), key=lambda one: (one is not certificate, one.name))


def _tables(inspector: Inspector) -> dict[str, str]:
    return {name.lower(): name for name in inspector.get_table_names()}


def _has(transaction: Connection, table: Table, id_: int) -> bool:
    return transaction.execute(select(table.c.id).where(table.c.id == id_)).first() is not None


def _damaged(lost: Sequence[Missing]) -> Unavailable:
    return Unavailable(
        "database_damaged",
        f"The database is damaged: it says that it is at revision {_newest()}, but this was taken out of it: "
        f"{'; '.join(map(str, lost))}. Restore it from a backup.",
    )


def _columns(inspector: Inspector, table: str | None) -> set[str] | None:
    return None if table is None else {column["name"].lower() for column in inspector.get_columns(table)}


def _without(table: Table, columns: set[str]) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name.lower() not in columns)


def _refuse_what_is_not_ours(transaction: Connection) -> None:
    theirs = _tables(inspect(transaction))
    found = _revision(transaction, theirs)
    if found is None:
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


def _revision(transaction: Connection, tables: Collection[str]) -> str | None:
    """Alembic's own look asks for the tables once more."""
    if _REVISION.name not in tables:
        return None
    return transaction.execute(select(_REVISION.c.version_num)).scalar()


def configuration() -> Config:
    """Return Alembic's configuration: where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def _newest() -> str:
    return ScriptDirectory.from_config(configuration()).get_current_head() or ""
