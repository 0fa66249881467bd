"""What went into a statement does not come out in an error, or it would stand in the log."""

from __future__ import annotations

import traceback

import pytest
from sqlalchemy import text

from trustcast.storage.session import Database

SECRET = "hunter2hunter2"


@pytest.mark.parametrize("count", [1, 2])
def test_error_of_a_statement_holds_none_of_its_parameters(database: Database, count: int) -> None:
    statement = text("INSERT INTO nowhere VALUES (:it)")

    with pytest.raises(Exception, match="nowhere") as failed, database.writing() as transaction:
        transaction.execute(statement, [{"it": SECRET}] * count)

    logged = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO nowhere" in logged
    assert SECRET not in logged
