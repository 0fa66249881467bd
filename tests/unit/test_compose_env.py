"""What `make secrets` tells docker compose, and whose lines of `.env` it leaves alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "prepare.py"


@pytest.fixture(scope="module")
def tell() -> Callable[[Path], None]:
    found = importlib.util.spec_from_file_location("prepare", SCRIPT)
    assert found is not None
    assert found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return lambda env: script.tell_compose(env, {"TRUSTCAST_UID": 1000, "TRUSTCAST_GID": 100})


@pytest.mark.parametrize(
    ("before", "others"),
    [
        (None, b""),
        (b"", b""),
        (b"TRUSTCAST_UID=0\nTRUSTCAST_GID=0\n", b""),
        (b"# mine\nHTTP_PORT=80\n", b"# mine\nHTTP_PORT=80\n"),
        (b"A=1\nTRUSTCAST_GID=0\n\nB=2", b"A=1\n\nB=2\n"),
        (b" export TRUSTCAST_UID = 0\r\nNAME=\xe9\r\n", b"NAME=\xe9\r\n"),
        (b"TRUSTCAST_UID_OF_MINE=1\n#TRUSTCAST_UID=7\n", b"TRUSTCAST_UID_OF_MINE=1\n#TRUSTCAST_UID=7\n"),
    ],
    ids=["none", "empty", "ours", "theirs", "mixed", "foreign", "similar"],
)
def test_only_our_own_lines_are_replaced(
    tmp_path: Path, tell: Callable[[Path], None], before: bytes | None, others: bytes
) -> None:
    env = tmp_path / ".env"
    if before is not None:
        env.write_bytes(before)

    tell(env)

    assert env.read_bytes() == others + b"TRUSTCAST_UID=1000\nTRUSTCAST_GID=100\n"


def test_a_second_run_changes_nothing(tmp_path: Path, tell: Callable[[Path], None]) -> None:
    env = tmp_path / ".env"
    env.write_text("A=1\nTRUSTCAST_UID=0\nB=2\n")
    tell(env)
    before = (env.read_bytes(), env.stat().st_mtime_ns)

    tell(env)

    assert (env.read_bytes(), env.stat().st_mtime_ns) == before
