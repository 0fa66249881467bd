"""Served apis: one of each kind for tests that do not mind what others left there, and fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.databases import PostgresServer, SqliteFiles
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served


@pytest.fixture(scope="session")
def shared_apis(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    sqlite_files: SqliteFiles,
    redis_server: RedisServer,
) -> Iterator[Callable[[str], ServedApi]]:
    with ExitStack() as closing:

        @cache
        def of(kind: str) -> ServedApi:
            folder = tmp_path_factory.mktemp(f"api-{kind}")
            if kind == "sqlite":
                url = sqlite_files.fresh(folder)
            else:
                postgres: PostgresServer = request.getfixturevalue("postgres")
                url = postgres.fresh()
            add_environment(url, "other")
            return closing.enter_context(served(folder, url, redis_server.url))

        yield of


@pytest.fixture(params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, shared_apis: Callable[[str], ServedApi]) -> ServedApi:
    """A running api on each kind of database; other tests use it, too."""
    return shared_apis(request.param)


@pytest.fixture
def fresh_api(database_url: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[ServedApi]:
    """A running api on an empty database of each kind."""
    add_environment(database_url, "other")
    with served(tmp_path, database_url, redis_server.url) as running:
        yield running
