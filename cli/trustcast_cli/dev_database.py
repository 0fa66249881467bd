"""The database of a `trustcast dev`: its data folder's, or the one that the environment names; never two devs' at once.

A second api on the same database would retire the gateways that it does not know, the first one's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trustcast import settings
from trustcast_cli import dev_lock
from trustcast_cli.errors import CannotRun

if TYPE_CHECKING:
    from trustcast.storage.session import Database

NAMES = frozenset({"TRUSTCAST_DATABASE_URL", "TRUSTCAST_DATABASE_URL_FILE"})


def named(passed: Mapping[str, str]) -> str | None:
    """Return the URL that the settings name themselves or in a file, None if they name none. Raises `CannotRun`."""
    given = {name: passed[name] for name in passed.keys() & NAMES}
    try:
        return settings.load(settings.DatabaseSettings, given).database() if given else None
    except settings.SettingsError as error:
        raise CannotRun(str(error)) from None


def described(url: str) -> str:
    """Say where the database is: a SQLite file, or kind, name and host; never the user or the password."""
    if file := sqlite_file(url):
        return f"the SQLite file {file}"
    parsed = _opened(url).engine.url
    where = f"{parsed.host or 'this machine'}{f':{parsed.port}' if parsed.port else ''}"
    return f"the {parsed.get_backend_name()} database {parsed.database or ''} at {where}"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, without links in its path; None for every other database. Raises `CannotRun`."""
    parsed = _opened(url).engine.url
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database).resolve()


def _opened(url: str) -> Database:
    from trustcast.storage.session import Database  # noqa: PLC0415 - it takes a while, and is seldom needed

    try:
        return Database(url)  # connects to nothing
    except settings.SettingsError as error:
        raise CannotRun(str(error)) from None


@contextlib.contextmanager
def held(file: Path | None) -> Iterator[tuple[int, ...]]:
    """Keep every other `dev` from a SQLite file; yields what the children have to inherit. Raises `CannotRun`."""
    if file is None:
        yield ()
        return
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(dev_lock.held(Path(f"{file}.lock"), f"The database {file}"))
        except OSError as error:
            raise CannotRun(f"{file}.lock cannot be written: {error.strerror}.") from None
        yield (lock,)
