"""Installations of WSO2 API Manager, as far as an import sees them: the table in its layouts, and a truststore."""

from __future__ import annotations

import base64
import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy

from tests.interop.keytool import keytool
from trustcast.keystore import jks

PASSWORD = "wso2carbon"
SUPER = -1234
HEADER = ("TENANT_ID", "ALIAS", "END_POINT", "CERTIFICATE")

# dbscripts/apimgt of the versions that changed it; BLOB is BYTEA in the script for PostgreSQL.
LAYOUTS = {
    "2.6": "TENANT_ID INTEGER NOT NULL, ALIAS VARCHAR(45) NOT NULL, END_POINT VARCHAR(100) NOT NULL",
    "3.1": "TENANT_ID INTEGER NOT NULL, ALIAS VARCHAR(255) NOT NULL, END_POINT VARCHAR(255) NOT NULL",
    "4.x": "TENANT_ID INTEGER NOT NULL, ALIAS VARCHAR(255) NOT NULL, END_POINT VARCHAR(255) NOT NULL, "
    "CERTIFICATE {blob} DEFAULT NULL",
}

Row = tuple[int, str, str, bytes | None]


def stored(file: bytes) -> bytes:
    """What 4.x keeps of an uploaded file: the bytes of its base64 text."""
    return base64.b64encode(file)


def build(url: str, layout: str, rows: Sequence[Row], tenants: Mapping[int, str] | None = None) -> None:
    """Make the table, and UM_TENANT if `tenants` are given; a layout without the column leaves the bytes out."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        columns = LAYOUTS[layout].format(blob="BYTEA" if engine.dialect.name == "postgresql" else "BLOB")
        connection.exec_driver_sql(f"CREATE TABLE AM_CERTIFICATE_METADATA ({columns}, PRIMARY KEY (ALIAS, TENANT_ID))")
        names = HEADER if layout == "4.x" else HEADER[:3]
        for row in rows:
            _insert(connection, "AM_CERTIFICATE_METADATA", names, row[: len(names)])
        if tenants is not None:
            connection.exec_driver_sql("CREATE TABLE UM_TENANT (UM_ID INTEGER, UM_DOMAIN_NAME VARCHAR(255))")
            for tenant in tenants.items():
                _insert(connection, "UM_TENANT", ("UM_ID", "UM_DOMAIN_NAME"), tenant)
    engine.dispose()


def content(url: str) -> list[Any]:
    """All that the table holds."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT * FROM AM_CERTIFICATE_METADATA ORDER BY TENANT_ID, ALIAS").fetchall()
    engine.dispose()
    return [tuple(row) for row in found]


def truststore(path: Path, entries: Mapping[str, bytes], *, by_keytool: bool = False) -> Path:
    """Write a JKS with these certificates; by keytool where it is wanted and there is one."""
    made = [jks.trusted_entry(alias, der, made_ms=1_500_000_000_000) for alias, der in entries.items()]
    path.write_bytes(jks.write(made, PASSWORD))
    if by_keytool and shutil.which("keytool"):
        ours = path.rename(path.with_suffix(".ours"))
        source = ("-srckeystore", ours, "-srcstoretype", "JKS", "-srcstorepass", PASSWORD)
        keytool("-importkeystore", *source, "-noprompt", store=path, password=PASSWORD)
    return path


def password_file(folder: Path) -> Path:
    path = folder / "truststore.password"
    path.write_text(PASSWORD + "\n")
    return path


def as_csv(header: Sequence[str], rows: Sequence[Sequence[object]], *, delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue()


def _insert(connection: sqlalchemy.Connection, table: str, names: Sequence[str], values: Sequence[object]) -> None:
    named: list[sqlalchemy.ColumnClause[object]] = [
        sqlalchemy.column(name.lower()) for name in names
    ]  # lower case is sent unquoted
    row = {name.lower(): value for name, value in zip(names, values, strict=True)}
    connection.execute(sqlalchemy.insert(sqlalchemy.table(table.lower(), *named)).values(row))
