"""What a worker remembers of a truststore is always what is stored, whoever changed it meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline import Pipeline
from trustcast.domain.truststore import Truststore
from trustcast.storage.session import Database
from trustcast_worker.truststore_cache import TruststoreCache


def remembered(pipeline: Pipeline) -> tuple[int, Truststore]:
    with pipeline.database.reading() as transaction:
        return pipeline.cache.current(transaction, "default")


def apply_one(pipeline: Pipeline, alias: str) -> None:
    pipeline.add(alias)
    pipeline.run()


def test_empty_truststore_is_generation_zero(database: Database) -> None:
    assert remembered(Pipeline(database)) == (0, Truststore())


def test_worker_catches_up_with_what_another_worker_applied(database: Database) -> None:
    one, other = Pipeline(database), Pipeline(database, name="worker-2")
    apply_one(one, "a")
    apply_one(other, "b")
    apply_one(other, "c")
    other.delete("a")
    other.run()

    generation, content = remembered(one)

    assert (generation, set(content.entries)) == (4, {"b", "c"})
    assert content.digest() == one.status().entries_sha256


def test_workers_taking_turns_sign_what_is_stored(database: Database) -> None:
    workers = [Pipeline(database), Pipeline(database, name="worker-2")]

    for number in range(6):
        apply_one(workers[number % 2], f"web-{number}")

    assert workers[0].status().generation == 6
    assert remembered(workers[0])[1].digest() == remembered(workers[1])[1].digest() == one_digest(workers[0])


def test_what_is_remembered_of_a_change_is_committed_by_then(database: Database, database_url: str) -> None:
    elsewhere = Pipeline(Database(database_url))
    seen: list[tuple[int, int]] = []

    class Watched(TruststoreCache):
        def advanced(self, environment: str, generation: int, content: Truststore) -> None:
            seen.append((generation, elsewhere.status().generation))
            super().advanced(environment, generation, content)

    pipeline = Pipeline(database, cache=Watched())
    apply_one(pipeline, "a")
    apply_one(pipeline, "b")

    assert seen == [(1, 1), (2, 2)]
    elsewhere.database.close()


def test_restored_backup_is_read_again(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    pipeline = Pipeline(database)
    apply_one(pipeline, "a")
    backup = dump(database)
    apply_one(pipeline, "b")
    apply_one(pipeline, "c")

    restore(database, backup)

    assert remembered(pipeline)[0] == 1
    assert set(remembered(pipeline)[1].entries) == {"a"}
    database.close()


def test_restored_backup_that_grew_to_the_same_generation_is_read_again(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    pipeline = Pipeline(database)
    apply_one(pipeline, "a")
    backup = dump(database)
    apply_one(pipeline, "lost")
    restore(database, backup)
    apply_one(Pipeline(database, name="worker-2"), "new")

    apply_one(pipeline, "next")

    assert set(remembered(pipeline)[1].entries) == {"a", "new", "next"} == pipeline.trusted()
    assert remembered(pipeline)[1].digest() == pipeline.status().entries_sha256
    database.close()


def one_digest(pipeline: Pipeline) -> str:
    return pipeline.status().entries_sha256


def dump(database: Database) -> bytes:
    database.close()
    return file_of(database).read_bytes()


def restore(database: Database, backup: bytes) -> None:
    database.close()
    file_of(database).write_bytes(backup)


def file_of(database: Database) -> Path:
    assert database.engine.url.database is not None
    return Path(database.engine.url.database)
