"""The database that commands look at themselves, without the api: the one of TRUSTCAST_DATABASE_URL or its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trustcast import settings
from trustcast.domain.errors import TrustcastError
from trustcast.storage.session import Database
from trustcast_cli.errors import CannotRun

_NAMES = [settings.PREFIX + name.upper() for name in settings.DatabaseSettings.model_fields]


@contextmanager
def opened(*, made_already: bool = True, environ: Mapping[str, str] = os.environ) -> Iterator[Database]:
    """Give the database; what goes wrong while it is used comes out as `CannotRun`, too.

    With `made_already` a SQLite file that is missing is not created.
    """
    # A shell in which one also runs services has their settings; they are no mistake here.
    given = {name: environ[name] for name in _NAMES if name in environ}
    try:
        database = Database(settings.load(settings.DatabaseSettings, given).database())
        try:
            if made_already:
                _expect_file(database)
            yield database
        finally:
            database.close()
    except (settings.SettingsError, TrustcastError) as error:
        raise CannotRun(str(error)) from error


def _expect_file(database: Database) -> None:
    file = database.engine.url.database if database.is_sqlite else None
    if file and file != ":memory:" and not Path(file).exists():
        raise CannotRun(f"There is no database at {file}.")
