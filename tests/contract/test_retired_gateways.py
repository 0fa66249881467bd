"""The gateways file is all there is: whoever is no longer in it is not waited for and may not speak."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.pipeline import Pipeline
from trustcast.storage import gateways, operations
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api.enrol_gateways import enrol


def enrol_only(database: Database, folder: Path, *names: str) -> None:
    lines = [{"name": name, "environment": "default", "token_sha256": digest(name)} for name in names]
    path = folder / "gateways.json"
    path.write_text(json.dumps({"gateways": lines}))
    enrol(database, path)


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_operation_that_waited_for_a_retired_gateway_alone_converges(database: Database, tmp_path: Path) -> None:
    pipeline = Pipeline(database)
    enrol_only(database, tmp_path, "g1", "g2")
    operation = pipeline.add("a")
    pipeline.run()
    pipeline.report("g1", 1)
    with database.reading() as transaction:
        assert operations.get(transaction, SUPER_TENANT, operation).converged_at is None

    enrol_only(database, tmp_path, "g1")

    with database.reading() as transaction:
        assert operations.get(transaction, SUPER_TENANT, operation).converged_at is not None


def test_token_of_a_retired_gateway_is_nobodys(database: Database, tmp_path: Path) -> None:
    enrol_only(database, tmp_path, "g1", "g2")

    enrol_only(database, tmp_path, "g1")

    with database.reading() as transaction:
        assert [one.token_sha256 for one in gateways.enrolled(transaction)] == [digest("g1")]
        assert [one.name for one in gateways.in_environment(transaction, "default")] == ["g1"]


def test_gateway_that_comes_back_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    pipeline = Pipeline(database)
    enrol_only(database, tmp_path, "g1")
    pipeline.add("a")
    pipeline.run()
    pipeline.report("g1", 1)
    enrol_only(database, tmp_path)

    enrol_only(database, tmp_path, "g1")

    assert pipeline.standing("g1").generation == 1
