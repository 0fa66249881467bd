"""The schema as migrations make it, on both databases, and the ways in and out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

from tests.pipeline import Pipeline
from trustcast.domain.errors import Unavailable
from trustcast.settings import SettingsError
from trustcast.storage import migrate
from trustcast.storage.session import Database
from trustcast.storage.sqlite import journal_mode
from trustcast.storage.tables import audit_tail, environment, metadata, outbox

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)


def test_migrated_schema_is_what_the_tables_say(database: Database) -> None:
    with database.reading() as transaction:
        context = MigrationContext.configure(transaction, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)

    # PostgreSQL folds the unquoted WSO2 name, which Alembic then takes for another table; see the next test.
    assert [one for one in differences if "am_certificate_metadata" not in str(one).lower()] == []


def test_wso2_table_has_its_columns_whatever_case_the_database_keeps(database: Database) -> None:
    with database.reading() as transaction:
        inspector = inspect(transaction)
        [table] = [name for name in inspector.get_table_names() if name.upper() == "AM_CERTIFICATE_METADATA"]
        columns = {column["name"].upper(): column["nullable"] for column in inspector.get_columns(table)}
        key = inspector.get_pk_constraint(table)["constrained_columns"]
        indexes = {one["name"] for one in inspector.get_indexes(table)}

    wanted = metadata.tables["AM_CERTIFICATE_METADATA"]
    assert columns == {column.name.upper(): column.nullable for column in wanted.columns}
    assert [one.upper() for one in key] == ["TENANT_ID", "ALIAS_KEY"]
    assert indexes == {index.name for index in wanted.indexes}


def test_operators_find_wso2s_table_by_its_name(database: Database) -> None:
    Pipeline(database).add("Web")
    pipeline = Pipeline(database)
    pipeline.run()

    with database.reading() as transaction:
        query = text("SELECT ALIAS, END_POINT FROM AM_CERTIFICATE_METADATA WHERE TENANT_ID = -1234")
        assert transaction.execute(query).all() == [("Web", "https://web.example:443")]


def test_new_database_has_the_default_environment_and_an_empty_chain(database: Database) -> None:
    with database.reading() as transaction:
        assert transaction.execute(select(environment.c.name, environment.c.type)).all() == [("default", "hybrid")]
        assert transaction.execute(select(audit_tail.c.sequence)).scalars().all() == [0]


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("web")

    migrate.upgrade(database)

    migrate.check(database)
    assert pipeline.operation(operation).alias == "web"


def test_processes_that_upgrade_at_once_take_turns(empty_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(upgrade_command, [empty_url] * 3))

    assert [one.stderr for one in done] == [""] * 3
    database = Database(empty_url)
    migrate.check(database)
    database.close()


def test_database_that_was_not_migrated_is_unavailable_and_says_what_to_do(empty_url: str) -> None:
    database = Database(empty_url)

    with pytest.raises(Unavailable) as refusal:
        migrate.check(database)

    assert refusal.value.code == "database_not_migrated"
    assert "python -m trustcast.storage upgrade" in refusal.value.detail
    database.close()


def test_instants_come_back_to_the_microsecond_and_in_utc(database: Database) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    with database.writing() as transaction:
        transaction.execute(insert(outbox).values(type="x", event="x", created_at=elsewhere))
        transaction.commit()

    with database.reading() as transaction:
        read = transaction.execute(select(outbox.c.created_at)).scalar_one()

    assert (read, read.tzinfo) == (NOON, UTC)


def test_instants_compare_in_sql_as_they_do_in_python(database: Database) -> None:
    moments = [NOON + timedelta(microseconds=step) for step in (0, 1, 999_999, 1_000_000)]
    with database.writing() as transaction:
        transaction.execute(insert(outbox), [{"type": "x", "event": "x", "created_at": moment} for moment in moments])
        transaction.commit()

    with database.reading() as transaction:
        later = select(outbox.c.created_at).where(outbox.c.created_at > NOON).order_by(outbox.c.created_at)
        assert transaction.execute(later).scalars().all() == moments[1:]


def test_reader_sees_one_state_while_another_writes(postgres_url: str) -> None:
    database = Database(postgres_url)
    count = text("SELECT count(*) FROM environment")
    with database.reading() as reader:
        before = reader.execute(count).scalar_one()
        with database.writing() as writer:
            writer.execute(insert(environment).values(name="new", type="hybrid"))
            writer.commit()

        assert reader.execute(count).scalar_one() == before
    database.close()


def test_command_upgrades_and_names_the_revision(empty_url: str) -> None:
    done = upgrade_command(empty_url)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0001", "")


def test_command_says_in_one_line_what_is_wrong() -> None:
    done = upgrade_command("postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert done.returncode == 1
    assert done.stderr.startswith("The database does not answer")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["", "mysql://x", "nonsense", "postgresql+nodriver://x"])
def test_url_of_another_database_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="database URL"):
        Database(url)


def test_unwritable_sqlite_folder_is_unavailable() -> None:
    database = Database("sqlite:////proc/no/such/folder/trustcast.db")

    with pytest.raises(Unavailable, match="unable to open database file"), database.reading():
        pass


def test_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "trustcast.db"
    path.write_bytes(b"this is not a database, but it is long enough to be looked at as if it were one" * 20)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(Unavailable, match="not a database"):
        migrate.check(database)
    database.close()


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "TRUNCATE"),
        ((3, 44, 5), "TRUNCATE"),
        ((3, 44, 6), "WAL"),
        ((3, 44, 7), "WAL"),
        ((3, 45, 0), "TRUNCATE"),
        ((3, 50, 6), "TRUNCATE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 0), "TRUNCATE"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 52, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_write_ahead_log_is_used_only_where_it_cannot_corrupt(version: tuple[int, ...], mode: str) -> None:
    assert journal_mode(version) == mode


def test_sqlite_syncs_every_commit(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.reading() as transaction:
        assert transaction.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert transaction.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    database.close()


def upgrade_command(url: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTCAST_")}
    return subprocess.run(
        [sys.executable, "-m", "trustcast.storage", "upgrade"],
        env=environ | {"TRUSTCAST_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
