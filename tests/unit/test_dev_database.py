"""Which database a `trustcast dev` works on is said without its password, and is one dev's at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustcast_cli import dev_database
from trustcast_cli.errors import CannotRun


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////var/lib/trustcast.db", "the SQLite file /var/lib/trustcast.db"),
        ("postgresql+psycopg://me:secret@db.example/trustcast", "the postgresql database trustcast at db.example"),
        ("postgresql+psycopg://me@db.example:5433/t?password=secret", "the postgresql database t at db.example:5433"),
    ],
)
def test_a_database_is_described_without_its_password(url: str, said: str) -> None:
    assert dev_database.described(url) == said


def test_what_is_no_url_is_not_repeated() -> None:
    with pytest.raises(CannotRun) as caught:
        dev_database.described("secret")

    assert "secret" not in str(caught.value)


def test_a_database_is_named_by_a_setting_or_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:///a.db\n")

    assert dev_database.named({"TRUSTCAST_DATABASE_URL": "sqlite:///b.db"}) == "sqlite:///b.db"
    assert dev_database.named({"TRUSTCAST_DATABASE_URL_FILE": str(tmp_path / "url")}) == "sqlite:///a.db"
    assert dev_database.named({"TRUSTCAST_REDIS_URL": "redis://x"}) is None


def test_a_file_is_held_once_by_whatever_path_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    first, second = (dev_database.sqlite_file(f"sqlite:///{tmp_path}/{name}/t.db") for name in ("real", "link"))

    with (
        dev_database.held(first),
        pytest.raises(CannotRun, match=r"real/t\.db is in use by another `trustcast dev`"),
        dev_database.held(second),
    ):
        pass
    with dev_database.held(second) as locks:
        assert len(locks) == 1
