"""`trustcast db` and `trustcast audit`, on the database itself."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from tests.command_line import Trustcast, trustcast
from tests.pipeline import Pipeline
from trustcast.domain.errors import Conflict, Unavailable
from trustcast.storage import migrate
from trustcast.storage.migrate import Missing
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, audit_tail

__all__ = ["trustcast"]

# As WSO2's own scripts make it.
THEIRS = """CREATE TABLE AM_CERTIFICATE_METADATA (
    TENANT_ID INTEGER NOT NULL, ALIAS VARCHAR(45) NOT NULL, END_POINT VARCHAR(100) NOT NULL, PRIMARY KEY (ALIAS))"""


def execute(url: str, *statements: str) -> None:
    with closing(Database(url)) as database, database.writing() as transaction:
        for statement in statements:
            transaction.exec_driver_sql(statement)
        transaction.commit()


def test_upgrade_makes_what_check_wants_to_see(trustcast: Trustcast, empty_url: str) -> None:
    upgraded = trustcast("db", "upgrade", database_url=empty_url)
    checked = trustcast("db", "check", database_url=empty_url)

    assert (upgraded.status, upgraded.stderr) == (0, "")
    assert (checked.status, checked.stdout, checked.stderr) == (
        0,
        "Every table and column is there, and so are the first rows.\n",
        "",
    )


def test_check_names_what_is_missing_wso2s_table_first(trustcast: Trustcast, database_url: str) -> None:
    execute(
        database_url,
        "DROP TABLE AM_CERTIFICATE_METADATA",
        "DROP TABLE audit_event",
        "ALTER TABLE operation DROP COLUMN rotation",
        "ALTER TABLE api DROP COLUMN context",
        "ALTER TABLE api DROP COLUMN provider",
    )

    done = trustcast("db", "check", database_url=database_url)

    assert done.status == 1
    assert done.stdout.splitlines() == [
        "missing: table AM_CERTIFICATE_METADATA",
        "missing: columns context, provider of api",
        "missing: table audit_event",
        "missing: column rotation of operation",
    ]
    assert "taken out of it" in done.stderr


DAMAGES = {
    "DROP TABLE audit_event": "table audit_event",
    "DROP TABLE AM_CERTIFICATE_METADATA": "table AM_CERTIFICATE_METADATA",
    "ALTER TABLE operation DROP COLUMN rotation": "column rotation of operation",
    "DELETE FROM audit_tail": "row 1 of audit_tail",
    "DELETE FROM tenant": "row -1234 of tenant",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_neither_upgrade_nor_check_passes_a_damaged_database(
    trustcast: Trustcast, database_url: str, damage: str
) -> None:
    execute(database_url, damage)

    checked = trustcast("db", "check", database_url=database_url)
    upgraded = trustcast("db", "upgrade", database_url=database_url)

    assert (checked.status, checked.stdout) == (1, f"missing: {DAMAGES[damage]}\n")
    assert (upgraded.status, upgraded.stdout) == (1, "")
    assert upgraded.stderr == (
        "The database is damaged: it says that it is at revision 0001, but this was taken out of it: "
        f"{DAMAGES[damage]}. Restore it from a backup.\n"
    )


def test_start_up_notices_missing_tables(database: Database, database_url: str) -> None:
    execute(database_url, "DROP TABLE audit_tail", "DROP TABLE AM_CERTIFICATE_METADATA")

    with pytest.raises(Unavailable, match=r"of it: table AM_CERTIFICATE_METADATA; table audit_tail\.") as damaged:
        migrate.check(database)

    assert damaged.value.code == "database_damaged"


def test_check_of_wso2s_own_database_says_which_columns_its_table_lacks(trustcast: Trustcast, empty_url: str) -> None:
    execute(empty_url, THEIRS)

    done = trustcast("db", "check", database_url=empty_url)

    assert done.status == 1
    assert done.stdout.startswith("missing: columns ALIAS_KEY, CERTIFICATE, FINGERPRINT_SHA256, KEY_SHA256, NOT_BEFORE")
    assert done.stdout.splitlines()[1] == "missing: table api"
    assert "run `trustcast db upgrade`" in done.stderr


def test_names_are_compared_without_case(postgres_url: str) -> None:
    execute(postgres_url, 'ALTER TABLE am_certificate_metadata RENAME TO "Am_Certificate_METADATA"')
    with closing(Database(postgres_url)) as database:
        assert migrate.missing(database) == []


def test_everything_is_missing_in_an_empty_database(empty_url: str) -> None:
    with closing(Database(empty_url)) as database:
        found = migrate.missing(database)

    assert found[0] == Missing("AM_CERTIFICATE_METADATA")
    assert len(found) > 20


def test_upgrade_leaves_tables_alone_that_are_somebody_elses(trustcast: Trustcast, empty_url: str) -> None:
    execute(empty_url, THEIRS, "INSERT INTO AM_CERTIFICATE_METADATA VALUES (-1234, 'web', 'https://web.example')")

    done = trustcast("db", "upgrade", database_url=empty_url)

    assert done.status == 1
    assert "tables that Trustcast did not make: AM_CERTIFICATE_METADATA." in done.stderr
    with closing(Database(empty_url)) as database, database.reading() as transaction:
        assert transaction.exec_driver_sql("SELECT ALIAS FROM AM_CERTIFICATE_METADATA").scalars().all() == ["web"]


def test_upgrade_does_not_touch_what_a_newer_version_made(database: Database) -> None:
    with database.writing() as transaction:
        transaction.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        transaction.commit()

    with pytest.raises(Conflict, match="at 9999, which this version does not know"):
        migrate.upgrade(database)


@pytest.mark.parametrize("command", [("db", "check"), ("audit", "verify")])
def test_looking_makes_no_database(trustcast: Trustcast, tmp_path: Path, command: tuple[str, str]) -> None:
    path = tmp_path / "none.db"

    done = trustcast(*command, database_url=f"sqlite:///{path}")

    assert (done.status, done.stderr) == (1, f"There is no database at {path}.\n")
    assert not path.exists()


def test_url_may_stand_in_a_file_and_other_settings_do_not_matter(
    trustcast: Trustcast, sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(sqlite_url + "\n")

    done = trustcast("db", "check", database_url_file=str(tmp_path / "url"), redis_url="redis://x", token_file="x")

    assert done.status == 0


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "set either TRUSTCAST_DATABASE_URL or TRUSTCAST_DATABASE_URL_FILE"),
        ({"database_url": "mysql://x:geheim@y/z"}, "The database URL is not one of"),
        ({"database_url_file": "/none"}, "The secret file /none cannot be read"),
        ({"database_url": "postgresql+psycopg://x:geheim@127.0.0.1:1/z"}, "The database does not answer"),
    ],
)
@pytest.mark.parametrize("command", [("db", "upgrade"), ("db", "check"), ("audit", "verify")])
def test_what_stands_in_the_way_is_one_sentence_without_the_password(
    trustcast: Trustcast, command: tuple[str, str], environ: dict[str, str], sentence: str
) -> None:
    done = trustcast(*command, **environ)

    assert done.status == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "geheim" not in done.stderr


def test_chain_that_holds_gives_an_anchor_that_holds_later(
    trustcast: Trustcast, database: Database, database_url: str
) -> None:
    pipeline = Pipeline(database)
    pipeline.add("one")
    pipeline.run()

    first = trustcast("audit", "verify", database_url=database_url)
    pipeline.add("two")
    second = trustcast("audit", "verify", "--anchor", first.stdout, database_url=database_url)

    assert (first.status, second.status) == (0, 0)
    assert int(second.stdout.partition(":")[0]) > int(first.stdout.partition(":")[0]) > 0
    assert second.stderr.startswith("The audit chain holds: ")


def test_first_bad_event_is_named(trustcast: Trustcast, database: Database, database_url: str) -> None:
    for alias in ("one", "two", "three"):
        Pipeline(database).add(alias)
    with database.writing() as transaction:
        transaction.execute(update(audit_event).where(audit_event.c.sequence == 2).values(actor="nobody"))
        transaction.commit()

    done = trustcast("audit", "verify", database_url=database_url)

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("The audit chain breaks at event 2")


def test_chain_that_was_cut_with_its_end_is_seen_by_the_anchor(
    trustcast: Trustcast, database: Database, database_url: str
) -> None:
    for alias in ("one", "two"):
        Pipeline(database).add(alias)
    anchor = trustcast("audit", "verify", database_url=database_url).stdout.strip()
    with database.writing() as transaction:
        transaction.execute(delete(audit_event).where(audit_event.c.sequence == 2))
        first = transaction.execute(audit_event.select()).one()
        transaction.execute(update(audit_tail).values(sequence=1, sha256=first.sha256))
        transaction.commit()

    assert trustcast("audit", "verify", database_url=database_url).status == 0
    held = trustcast("audit", "verify", "--anchor", anchor, database_url=database_url)
    assert held.status == 1
    assert "breaks at event 2" in held.stderr


@pytest.mark.parametrize("anchor", ["", "5", "5:abc", ":" + "0" * 64, "-1:" + "0" * 64, "1:" + "G" * 64, "9" * 30])
def test_anchor_is_what_the_command_printed(trustcast: Trustcast, sqlite_url: str, anchor: str) -> None:
    done = trustcast("audit", "verify", "--anchor", anchor, database_url=sqlite_url)

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("An anchor is a number, a colon and 64 hexadecimal digits")


def test_database_that_was_not_migrated_has_no_chain(trustcast: Trustcast, empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE something (id INTEGER)")

    done = trustcast("audit", "verify", database_url=empty_url)

    assert done.status == 1
    assert "run `trustcast db upgrade`" in done.stderr


def test_status_reaches_the_shell(tmp_path: Path) -> None:
    environ = {"PATH": "", "TRUSTCAST_DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}"}
    command = [sys.executable, "-m", "trustcast_cli", "db", "check"]

    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"There is no database at {tmp_path / 'none.db'}.\n"
