"""What all fault tests need."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from tests.databases import PostgresServer


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness that `pytest --randomly-seed=…` repeats; the seed is shown where a test fails."""
    seed = int(request.config.getoption("randomly_seed"))
    logging.getLogger("faults").warning("repeat with --randomly-seed=%d", seed)
    return random.Random(seed)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings that choose the database: none for the embedded one."""
    if request.param == "sqlite":
        yield {}
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.fresh()
        yield {"TRUSTCAST_DATABASE_URL": url}
        postgres.drop(url)  # and not given back: somebody who should have been killed may live on
