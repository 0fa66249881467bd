"""The scripts in dbscripts/apimgt make what the migrations make, each on its own kind of database."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import String, select
from sqlglot import expressions

from dbscripts import scripts
from tests.databases import PostgresServer
from tests.pipeline import Pipeline
from tests.tools import java_tool, missing
from trustcast.storage import migrate
from trustcast.storage.session import Database
from trustcast.storage.tables import certificate, metadata

H2_JAR = Path("/usr/share/java/h2.jar")  # where Debian's libh2-java puts it
DIALECTS = {"postgresql": "postgres", "mssql": "tsql", "db2": "", "h2": ""}
TABLES = {name.upper(): table for name, table in metadata.tables.items()}


def script(name: str) -> str:
    return (scripts.FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def statements(name: str) -> list[Any]:
    """The script, parsed: it holds no statement that the parser does not know. Three of its words no parser knows."""
    text = re.sub(r"^GO$| NONCLUSTERED| EXCLUDE NULL KEYS", "", script(name), flags=re.MULTILINE)
    parsed = sqlglot.parse(text, read=DIALECTS.get(name, name))
    found = [one for one in parsed if one is not None]
    assert not [one for one in found if isinstance(one, expressions.Command)]
    return found


def created(name: str) -> Iterator[tuple[str, expressions.Create]]:
    """Each CREATE TABLE with the table's name in upper case."""
    for one in statements(name):
        if isinstance(one, expressions.Create) and one.kind == "TABLE":
            yield one.this.this.name.upper(), one


def difference(database: Database) -> list[object]:
    """What Alembic would change, but for WSO2's table, whose name PostgreSQL folds: see test_schema."""
    with database.reading() as transaction:
        context = MigrationContext.configure(transaction, opts={"compare_type": True})
        return [one for one in compare_metadata(context, metadata) if "am_certificate_metadata" not in str(one).lower()]


def works(url: str) -> None:
    """A database that a script made is one that the product takes, and works on."""
    with closing(Database(url)) as database:
        migrate.check(database)
        assert difference(database) == []
        pipeline = Pipeline(database)
        pipeline.add("web")
        pipeline.run()
        with database.reading() as transaction:
            assert transaction.execute(select(certificate.c.alias)).scalars().all() == ["web"]


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_script_is_what_the_migrations_say_now(name: str) -> None:
    assert script(name) == scripts.text(name), "run `make dbscripts`"


def test_there_is_a_script_for_each_database_and_no_other_file() -> None:
    assert {path.name for path in scripts.FOLDER.iterdir()} == {f"{name}.sql" for name in scripts.SCRIPTS}


def test_script_makes_a_sqlite_database_that_the_product_takes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trustcast.db'}"
    with closing(Database(url)) as database, closing(database.engine.raw_connection()) as connection:
        connection.cursor().executescript(script("sqlite"))

    works(url)


def test_script_makes_the_very_sqlite_tables_of_the_migrations(sqlite_url: str, tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'script.db'}")) as database:
        with closing(database.engine.raw_connection()) as connection:
            connection.cursor().executescript(script("sqlite"))
        by_script = _sqlite_schema(database)
    with closing(Database(sqlite_url)) as migrated:
        assert by_script == _sqlite_schema(migrated)


def _sqlite_schema(database: Database) -> list[tuple[str, ...]]:
    with database.reading() as transaction:
        rows = transaction.exec_driver_sql("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        return [tuple(" ".join(str(value).split()) for value in row) for row in rows]


def test_script_makes_a_postgresql_database_that_the_product_takes(postgres: PostgresServer) -> None:
    url = postgres.empty()
    with closing(Database(url)) as database, closing(database.engine.raw_connection()) as connection:
        connection.cursor().execute(script("postgresql"))

    works(url)
    postgres.drop(url)


def test_script_runs_on_h2(tmp_path: Path) -> None:
    jar = Path(os.environ.get("H2_JAR", H2_JAR))
    if not jar.exists():
        missing(f"{jar} is not there; install Debian's libh2-java, or name H2's jar in H2_JAR")
    java = [java_tool("java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(jar)]
    url = f"jdbc:h2:{tmp_path / 'trustcast'}"
    path = str(scripts.FOLDER / "h2.sql")

    _run([*java, "org.h2.tools.RunScript", "-url", url, "-script", path])

    asked = "SELECT version_num || table_name FROM alembic_version, information_schema.tables"
    told = _run([*java, "org.h2.tools.Shell", "-url", url, "-sql", asked])
    assert set(re.findall(r"^0\d+(\w+)$", told, flags=re.MULTILINE)) >= TABLES.keys()


def test_script_runs_on_mariadb(tmp_path: Path) -> None:
    """For whoever has one on PATH; nobody else is asked to: the product does not run on it."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("mariadbd is not on PATH")
    with _mariadb(tmp_path) as client:
        _run([*client, "-e", "CREATE DATABASE trustcast"])
        _run([*client, "trustcast"], script("mysql"))

        told = _run([*client, "trustcast", "-N", "-e", "SHOW TABLES; SELECT version_num FROM alembic_version"])

    assert {one.upper() for one in told.split()} - {_revision()} == {*TABLES, "ALEMBIC_VERSION"}


@contextmanager
def _mariadb(folder: Path) -> Iterator[list[str]]:
    data, at = folder / "data", Path(tempfile.mkdtemp(prefix="mariadb-")) / "socket"  # a socket's path has to be short
    own = ["--no-defaults", f"--datadir={data}", "--user=" + _me()]
    _run(["mariadb-install-db", *own, "--auth-root-authentication-method=normal", "--skip-test-db"])
    server = subprocess.Popen(
        ["mariadbd", *own, f"--socket={at}", "--skip-networking", f"--pid-file={folder / 'pid'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(at)
        yield ["mariadb", "--no-defaults", "--user=root", f"--socket={at}"]
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(at.parent)


def _me() -> str:
    return _run(["id", "-un"]).strip()


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    with closing(socket.socket(socket.AF_UNIX)) as tried:
        while tried.connect_ex(str(path)):
            assert time.monotonic() < until, "mariadbd does not start"
            time.sleep(0.05)


def _revision() -> str:
    found = re.search(r"INSERT INTO alembic_version \(version_num\) VALUES \('(\w+)'\)", script("sqlite"))
    assert found is not None
    return found[1]


def _run(command: list[str], given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_script_creates_each_table_with_each_column(name: str) -> None:
    columns = {
        table: {c.name.upper() for c in one.this.find_all(expressions.ColumnDef)} for table, one in created(name)
    }

    assert columns.pop("ALEMBIC_VERSION") == {"VERSION_NUM"}
    assert columns == {table: {column.name.upper() for column in one.columns} for table, one in TABLES.items()}


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_script_records_the_revision_and_seeds_what_a_first_start_needs(name: str) -> None:
    seeded = [one.this.this.name for one in statements(name) if isinstance(one, expressions.Insert)]

    assert sorted(seeded) == ["alembic_version", "audit_tail", "environment", "tenant", "truststore"]
    assert _revision() in script(name)


@pytest.mark.parametrize("name", ["mssql", "db2"])
def test_retired_gateways_have_no_token_where_null_would_be_one(name: str) -> None:
    condition = {"mssql": "WHERE token_sha256 IS NOT NULL", "db2": "EXCLUDE NULL KEYS"}[name]
    [gateway] = [one for table, one in created(name) if table == "GATEWAY"]

    assert "UNIQUE" not in gateway.sql()
    assert f"CREATE UNIQUE INDEX uq_gateway_token_sha256 ON gateway (token_sha256) {condition};" in script(name)


def test_names_fit_where_they_are_shortest() -> None:
    """MySQL: 64 characters, PostgreSQL 63 bytes, Oracle 12.2 and Db2: 128 bytes."""
    names = [index.name or "" for table in metadata.tables.values() for index in table.indexes]
    names += itertools.chain.from_iterable((table.name, *table.columns.keys()) for table in metadata.tables.values())

    assert [name for name in names if len(name.encode()) > 63] == []


def test_keys_fit_into_an_index_where_they_are_shortest() -> None:
    """InnoDB: 3072 bytes, a character taking four; SQL Server: 1700 bytes, a character taking two."""
    keys = {(name, columns): sum(map(_characters, columns)) for name, columns in _keys()}

    assert {key: length for key, length in keys.items() if length * 4 > 3072 or length * 2 > 1700} == {}


def _keys() -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    for table in metadata.tables.values():
        constraints = [one for one in table.constraints if not hasattr(one, "elements")]
        for key in [*constraints, *table.indexes]:
            yield table.name, tuple((table.name, column.key) for column in getattr(key, "columns", ()))


def _characters(column: tuple[str, str]) -> int:
    kind = metadata.tables[column[0]].columns[column[1]].type
    return (kind.length or 0) if isinstance(kind, String) else 2


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_heading_says_whether_the_product_runs_on_it(name: str) -> None:
    heading = script(name).partition("\n\n")[0]

    assert script(name).isascii()
    assert ("Trustcast runs on this database" in heading) == (name in {"postgresql", "sqlite"})
    assert ("Trustcast does not run on this database" in heading) == (name not in {"postgresql", "sqlite"})
