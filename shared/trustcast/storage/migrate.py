"""The database's schema: Alembic, run by `python -m trustcast.storage upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from trustcast.storage.session import Database

_ADVISORY_LOCK = 0x7472757374  # "trust"; any number nobody else takes


def upgrade(database: Database) -> str:
    """Bring the schema to this version and return its revision; processes that do so at once take turns."""
    config = configuration()
    with database.writing() as transaction:
        if not database.is_sqlite:
            transaction.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a migration elsewhere may take its time
            transaction.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        config.attributes["connection"] = transaction
        command.upgrade(config, "head")
        transaction.commit()
    return _newest()


def check(database: Database) -> None:
    """Raise `Unavailable("database_not_migrated")` unless the schema is this version's."""
    with database.reading() as transaction:
        found = MigrationContext.configure(transaction).get_current_revision()
    if found != _newest():
        raise Unavailable(
            "database_not_migrated",
            f"The database's schema is at {found or 'nothing'}, this version needs {_newest()}: "
            "run `python -m trustcast.storage upgrade`.",
        )


def configuration() -> Config:
    """Return Alembic's configuration: where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def _newest() -> str:
    return ScriptDirectory.from_config(configuration()).get_current_head() or ""
