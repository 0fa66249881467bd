"""WSO2's own database, in the layouts of its versions, is read and stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from tests import wso2
from tests.databases import PostgresServer
from tests.wso2 import SUPER
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import database
from trustcast_cli.wso2.rows import Row

ROWS: list[wso2.Row] = [
    (SUPER, "Orders", "https://orders.example", b"TUlJ"),
    (3, "payments", "https://payments.example", None),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'am.db'}"
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        made = postgres.empty()
        yield made
        postgres.drop(made)


@pytest.mark.parametrize("layout", wso2.LAYOUTS)
def test_every_layout_is_read(url: str, layout: str) -> None:
    wso2.build(url, layout, ROWS)

    rows = sorted(database.read(url).rows, key=lambda row: row.tenant_id)

    stored = b"TUlJ" if layout == "4.x" else None
    assert rows == [
        Row(SUPER, "Orders", "https://orders.example", stored),
        Row(3, "payments", "https://payments.example"),
    ]


def test_the_tenants_domains_are_read_where_they_are(url: str) -> None:
    wso2.build(url, "3.1", ROWS, tenants={3: "three.example"})

    assert database.read(url).domains == {3: "three.example"}


def test_names_in_capitals_are_found(url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'CREATE TABLE "AM_CERTIFICATE_METADATA" ("TENANT_ID" INTEGER, "Alias" VARCHAR(45), "END_POINT" VARCHAR(99))'
        )
        connection.exec_driver_sql("INSERT INTO \"AM_CERTIFICATE_METADATA\" VALUES (3, 'a', 'https://a.example')")
    engine.dispose()

    assert database.read(url).rows == (Row(3, "a", "https://a.example"),)


def test_text_in_the_column_is_as_good_as_bytes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'am.db'}"
    wso2.build(url, "4.x", [(SUPER, "orders", "https://orders.example", "TUlJ")])  # type: ignore[list-item]

    assert database.read(url).rows[0].certificate == b"TUlJ"


def test_reading_changes_no_byte_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "am.db"
    wso2.build(f"sqlite:///{path}", "4.x", ROWS, tenants={3: "three.example"})
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.chmod(0o400)

    database.read(f"sqlite:///{path}")

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_connection_cannot_write(url: str) -> None:
    wso2.build(url, "4.x", ROWS)
    engine = database.read_only_engine(url)

    with engine.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
        connection.exec_driver_sql("DELETE FROM AM_CERTIFICATE_METADATA")
    engine.dispose()

    assert len(wso2.content(url)) == 2


def test_trustcasts_own_database_is_not_taken_for_one_of_wso2(database_url: str) -> None:
    with pytest.raises(CannotRun, match="Trustcast's own table"):
        database.read(database_url)


def test_a_database_without_the_table_says_so(url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE something (id INTEGER)")
    engine.dispose()

    with pytest.raises(CannotRun, match="no table AM_CERTIFICATE_METADATA"):
        database.read(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("secret", "not of SQLAlchemy's form"),
        ("nosuch://u:secret@h/d", "SQLAlchemy knows no nosuch here"),
        ("mysql+pymysql://u:secret@h/d", "install the Python package pymysql, or export the table as CSV"),
        ("mysql://u:secret@h/d", "package pymysql and begin the URL with mysql+pymysql://, or export"),
        ("mysql+mysqldb://u:secret@h/d", "install the Python package mysqlclient, or"),
        ("oracle://u:secret@h/d", "package oracledb and begin the URL with oracle+oracledb://, or"),
        ("oracle+oracledb://u:secret@h/d", "install the Python package oracledb, or"),
        ("mssql://u:secret@h/d", "package pymssql and begin the URL with mssql+pymssql://, or"),
        ("mssql+pyodbc://u:secret@h/d", "install the Python package pyodbc, or"),
        ("sqlite:////nowhere/secret.db", "There is no SQLite database at /nowhere/"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/d?connect_timeout=2", "WSO2's database cannot be read: "),
    ],
)
def test_what_stands_in_the_way_is_one_sentence_without_the_password(url: str, said: str) -> None:
    with pytest.raises(CannotRun) as caught:
        database.read(url)

    assert said in str(caught.value)
    assert ":secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_postgresql_without_a_driver_means_the_one_that_comes_with_trustcast(postgres_url: str) -> None:
    with pytest.raises(CannotRun, match="Trustcast's own table"):
        database.read(postgres_url.replace("postgresql+psycopg://", "postgresql://"))
