"""Served apis: one of each kind for tests that do not mind what others left there, and fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.databases import PostgresServer, SqliteFiles
from tests.publisher import NEWER, VERSIONS, Face, working
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served


@dataclass(frozen=True)
class Maker:
    """Makes databases of each kind, migrated and with the environment `other`, and serves apis on them."""

    sqlite_files: SqliteFiles
    request: pytest.FixtureRequest
    redis_url: str

    def serving(self, kind: str, folder: Path) -> AbstractContextManager[ServedApi]:
        if kind == "sqlite":
            url = self.sqlite_files.fresh(folder)
        else:
            postgres: PostgresServer = self.request.getfixturevalue("postgres")
            url = postgres.fresh()
        add_environment(url, "other")
        return served(folder, url, self.redis_url)


@pytest.fixture(scope="session")
def maker(request: pytest.FixtureRequest, sqlite_files: SqliteFiles, redis_server: RedisServer) -> Maker:
    return Maker(sqlite_files, request, redis_server.url)


@pytest.fixture(scope="session")
def shared_apis(tmp_path_factory: pytest.TempPathFactory, maker: Maker) -> Iterator[Callable[[str], ServedApi]]:
    with ExitStack() as closing:
        yield cache(lambda kind: closing.enter_context(maker.serving(kind, tmp_path_factory.mktemp(f"api-{kind}"))))


@pytest.fixture(scope="session")
def publishing_apis(tmp_path_factory: pytest.TempPathFactory, maker: Maker) -> Iterator[Callable[[str], ServedApi]]:
    with ExitStack() as closing:
        yield cache(lambda kind: closing.enter_context(maker.serving(kind, tmp_path_factory.mktemp(f"wso2-{kind}"))))


@pytest.fixture(params=VERSIONS)
def every_face(request: pytest.FixtureRequest, publishing_apis: Callable[[str], ServedApi]) -> Iterator[Face]:
    """WSO2's routes in each version; other tests use them as well."""
    with working(publishing_apis("sqlite")) as api:
        yield Face(api, request.param)


@pytest.fixture(params=["v0.14", "v4"])
def face(request: pytest.FixtureRequest, publishing_apis: Callable[[str], ServedApi]) -> Iterator[Face]:
    """The oldest and the newest version: two pieces of code serve all."""
    with working(publishing_apis("sqlite")) as api:
        yield Face(api, request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def newest_face(request: pytest.FixtureRequest, publishing_apis: Callable[[str], ServedApi]) -> Iterator[Face]:
    """The newest version on each kind of database."""
    with working(publishing_apis(request.param)) as api:
        yield Face(api, NEWER[-1])


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
