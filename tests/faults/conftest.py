"""What all fault tests need."""

from __future__ import annotations

import logging
import random

import pytest


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness that `pytest --randomly-seed=…` repeats; the seed is shown where a test fails."""
    seed = int(request.config.getoption("randomly_seed"))
    logging.getLogger("faults").warning("repeat with --randomly-seed=%d", seed)
    return random.Random(seed)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose the database: none for the embedded one."""
    return {"TRUSTCAST_DATABASE_URL": request.getfixturevalue("postgres_url")} if request.param == "postgresql" else {}
