"""What went into a statement does not come out in an error, or it would stand in the log."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from trustcast.storage import tables
from trustcast.storage.session import Database

SECRET = "hunter2hunter2"
TENANT = {"id": 5, "domain": SECRET, "on_expiry": "keep"}


@pytest.mark.parametrize("count", [1, 2])
def test_error_of_a_statement_holds_none_of_its_parameters(database: Database, count: int) -> None:
    statement = text("INSERT INTO nowhere VALUES (:it)")

    with pytest.raises(Exception, match="nowhere") as failed, database.writing() as transaction:
        transaction.execute(statement, [{"it": SECRET}] * count)

    logged = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO nowhere" in logged
    assert SECRET not in logged


@pytest.mark.parametrize("second", [TENANT, TENANT | {"id": 6}, {"id": 6, "domain": SECRET + "!", "on_expiry": None}])
def test_error_of_a_row_that_cannot_be_holds_none_of_its_values(database: Database, second: dict[str, object]) -> None:
    """PostgreSQL tells the failing row, or the key that is there already."""
    with pytest.raises(IntegrityError) as failed, database.writing() as transaction:
        _insert(transaction, TENANT, second)

    logged = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO" in logged
    assert SECRET not in logged


def _insert(transaction: Connection, *rows: dict[str, object]) -> None:
    for row in rows:
        transaction.execute(insert(tables.tenant), row)


CRASHING = """
import sys, structlog
from trustcast import log

def crash(of_the_caller):
    local = of_the_caller
    raise ValueError("crashed")

log.configure("test")
try:
    crash(sys.argv[1])
except ValueError as error:
    structlog.get_logger("trustcast.test").error("unexpected", exc_info=error)
"""


def test_log_line_of_an_error_holds_its_traceback_without_local_values() -> None:
    ran = subprocess.run([sys.executable, "-c", CRASHING, SECRET], capture_output=True, text=True, check=True)

    assert "in crash" in json.loads(ran.stderr)["exception"]
    assert SECRET not in ran.stderr
