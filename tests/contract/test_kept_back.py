"""An operation says which gateways fail to take it over, and why."""

from __future__ import annotations

from tests.pipeline import Pipeline
from trustcast.storage import gateways
from trustcast.storage.gateways import Arrival, Phase, Report
from trustcast.storage.session import Database
from trustcast_api.record_report import record_report


def fail(pipeline: Pipeline, gateway: str) -> None:
    told = Report(generation=0, entries_sha256=None, phase=Phase.FAILED, code="foreign_alias", detail="Taken.")
    record_report(pipeline.database, told, gateway=gateway, environment="default", at=pipeline.at)


def kept_back(pipeline: Pipeline, operation: str) -> list[Arrival]:
    with pipeline.database.reading() as transaction:
        return gateways.kept_back(transaction, operation)


def test_failing_gateway_is_named_with_its_reason(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.enrol("g1", "g2")
    operation = pipeline.add("a")
    pipeline.run()
    pipeline.report("g2", 1)

    fail(pipeline, "g1")

    assert kept_back(pipeline, operation) == [
        Arrival("g1", "default", 0, "failed", pipeline.at, "foreign_alias", "Taken.")
    ]


def test_gateway_that_took_it_over_is_not_kept_back_by_what_fails_later(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.enrol("g1")
    operation = pipeline.add("a")
    pipeline.run()
    pipeline.report("g1", 1)

    fail(pipeline, "g1")

    assert kept_back(pipeline, operation) == []
