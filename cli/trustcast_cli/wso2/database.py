"""The table in WSO2's own database: any that SQLAlchemy has a driver for here. It is only read.

SQLite is opened with `mode=ro`, PostgreSQL in transactions that are read-only; to every other database nothing but
SELECT is sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import rows
from trustcast_cli.wso2.rows import Installation, Row

# WSO2's user management keeps the domains; often, but not always, in the same database.
TENANTS = "UM_TENANT"
# What to install where a URL names no driver: from wheels, without a compiler or a client of the vendor's.
_DRIVERS = {"mysql": "pymysql", "mariadb": "pymysql", "oracle": "oracledb", "mssql": "pymssql"}
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary"}
_INSTEAD = "or export the table as CSV and give it with --csv"


def read(url: str) -> Installation:
    """Return the rows, and the tenants' domains if they are there. Raises `CannotRun`; the URL is never repeated."""
    engine = read_only_engine(url)
    try:
        with engine.connect() as connection:
            return _installation(connection)
    except SQLAlchemyError as error:
        raise CannotRun(f"WSO2's database cannot be read: {_reason(error)}.") from None
    finally:
        engine.dispose()


def read_only_engine(url: str) -> Engine:
    """Return the way in; nothing can be written through it on SQLite and PostgreSQL. Raises `CannotRun`."""
    parsed = _parsed(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return sqlalchemy.create_engine("sqlite://", creator=_read_only_file(parsed), poolclass=sqlalchemy.NullPool)
        engine = sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.NullPool, hide_parameters=True)
    except NoSuchModuleError:
        raise CannotRun(
            f"SQLAlchemy knows no {parsed.drivername} here: install the Python package of its dialect "
            f"(for Db2 ibm-db-sa), {_INSTEAD}."
        ) from None
    except ImportError as error:
        raise CannotRun(f"{_driver(parsed, error)}, {_INSTEAD}.") from None
    if engine.dialect.name == "postgresql":
        return engine.execution_options(postgresql_readonly=True)
    return engine


def _driver(url: URL, error: ImportError) -> str:
    """Name a package that exists: a dialect's module is not always called like it, and some defaults are outdated."""
    said = f"The driver for {url.drivername} is not installed: install the Python package "
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None or "+" in url.drivername:
        return said + _PACKAGES.get(error.name or "", error.name or "that it needs")
    return f"{said}{driver} and begin the URL with {url.get_backend_name()}+{driver}://"


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        raise CannotRun(
            "The database URL is not of SQLAlchemy's form: dialect+driver://user:password@host:port/database."
        ) from None
    if parsed.drivername == "postgresql":  # the driver that comes with Trustcast
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _read_only_file(url: URL) -> Any:
    path = Path(url.database or "")
    if not path.is_file():
        raise CannotRun(f"There is no SQLite database at {path}.")
    return partial(sqlite3.connect, f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)


def _installation(connection: Connection) -> Installation:
    inspector = sqlalchemy.inspect(connection)
    tables = {name.upper(): name for name in (*inspector.get_view_names(), *inspector.get_table_names())}
    if rows.TABLE not in tables:
        raise CannotRun(f"There is no table {rows.TABLE} in this database; is it API Manager's own (WSO2AM_DB)?")
    columns = _columns(inspector, tables[rows.TABLE])
    theirs = rows.columns_by_name(columns, rows.TABLE)
    found = [_row(values) for values in _selected(connection, tables[rows.TABLE], theirs)]
    domains = _domains(connection, inspector, tables[TENANTS]) if TENANTS in tables else {}
    return Installation(tuple(found), domains)


def _domains(connection: Connection, inspector: sqlalchemy.Inspector, table: str) -> dict[int, str]:
    theirs = {name.upper(): name for name in _columns(inspector, table)}
    if not {"UM_ID", "UM_DOMAIN_NAME"} <= theirs.keys():
        return {}
    wanted = {name: theirs[name] for name in ("UM_ID", "UM_DOMAIN_NAME")}
    return {int(one["UM_ID"]): str(one["UM_DOMAIN_NAME"]) for one in _selected(connection, table, wanted)}


def _columns(inspector: sqlalchemy.Inspector, table: str) -> list[str]:
    return [column["name"] for column in inspector.get_columns(table)]


def _selected(connection: Connection, table: str, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Select columns without a type: what the driver gives is what there is, also text where bytes are declared."""
    named: list[sqlalchemy.ColumnClause[Any]] = [sqlalchemy.column(theirs) for theirs in columns.values()]
    query = sqlalchemy.select(*named).select_from(sqlalchemy.table(table))
    return [dict(zip(columns, values, strict=True)) for values in connection.execute(query)]


def _row(values: Mapping[str, Any]) -> Row:
    endpoint = str(values["END_POINT"] or "").strip()
    return Row(int(values["TENANT_ID"]), str(values["ALIAS"] or ""), endpoint, _bytes(values.get(rows.CERTIFICATE)))


def _bytes(stored: Any) -> bytes | None:
    if not stored:
        return None
    return stored.encode() if isinstance(stored, str) else bytes(stored)


def _reason(error: SQLAlchemyError) -> str:
    """The driver's first line; never the statement, never the URL."""
    return (str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
