"""The locks install anywhere: exact versions, hashes, no compiler, and no registry's address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _requirements(lock: Path) -> list[str]:
    return re.findall(r"^[^\s#].*(?:\n[ \t]+.*)*", lock.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_names_no_host_and_no_path(lock: Path) -> None:
    assert not re.search(r"://|^-|^/|^\.", lock.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_has_an_exact_version_and_a_hash(lock: Path) -> None:
    loose = [entry for entry in _requirements(lock) if "==" not in entry or "--hash=sha256:" not in entry]

    assert loose == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_twofish_is_left_out_because_it_needs_a_compiler(lock: Path) -> None:
    assert not re.search(r"^twofish\b", lock.read_text(), flags=re.MULTILINE)


def test_gateway_lock_brings_no_web_framework_no_database_and_no_task_queue() -> None:
    names = {entry.partition("==")[0] for entry in _requirements(ROOT / "requirements" / "gateway.txt")}

    assert names.isdisjoint({"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "celery", "kombu"})


def test_service_locks_agree_with_the_lock_that_is_tested() -> None:
    tested = {entry.split()[0] for entry in _requirements(ROOT / "requirements" / "dev.txt")}
    tested_names = {pin.partition("==")[0] for pin in tested}

    other = {
        (lock.stem, pin)
        for lock in LOCKS
        for entry in _requirements(lock)
        if (pin := entry.split()[0]).partition("==")[0] in tested_names and pin not in tested
    }

    assert other == set()
