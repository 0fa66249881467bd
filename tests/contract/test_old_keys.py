"""Idempotency keys are kept for a week and then let go, by the sweep."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from tests.certificates import self_signed
from tests.pipeline import Pipeline
from trustcast.storage import idempotency
from trustcast.storage.session import Database
from trustcast.storage.tables import idempotency_key
from trustcast_worker.sweep import FORGET_EVERY


def keys(database: Database) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(idempotency_key)).scalar_one()


def test_key_serves_for_a_week(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")
    first = pipeline.add("web", made=made, key="k-1")
    pipeline.run()
    pipeline.later(days=7, minutes=-1)
    pipeline.sweep()

    assert pipeline.add("web", made=made, key="k-1") == first


def test_old_keys_are_let_go_and_the_others_stay(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("old", key="k-1")
    pipeline.later(hours=2)
    pipeline.add("new", key="k-2")
    pipeline.at += idempotency.KEPT - timedelta(minutes=30)
    pipeline.sweep()

    assert keys(database) == 1


def test_keys_go_together_and_not_a_few_with_every_sweep(database: Database) -> None:
    pipeline = Pipeline(database)
    for number in range(3):
        pipeline.add(f"web-{number}", key=f"k-{number}")
        pipeline.later(minutes=10)
    pipeline.at += idempotency.KEPT
    pipeline.sweep()
    assert keys(database) == 3

    pipeline.at += FORGET_EVERY
    pipeline.sweep()
    assert keys(database) == 0


def test_looking_for_old_keys_reads_an_index(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.reading() as transaction:
        asked = "EXPLAIN QUERY PLAN SELECT EXISTS (SELECT * FROM idempotency_key WHERE created_at < '2026-11-23')"
        plan = str(transaction.exec_driver_sql(asked).all())

    assert "ix_idempotency_key_created_at" in plan
    database.close()
