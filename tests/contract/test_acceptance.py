"""Accepting a request: all of it in one commit, and the same request twice is one operation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Table, func, select

from tests.certificates import self_signed
from tests.pipeline import Pipeline
from trustcast.domain.errors import NotFound
from trustcast.storage import audit
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.operations import Kind, State
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob, operation, outbox
from trustcast_api.accept_request import Request


def count(database: Database, table: Table) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(table)).scalar_one()


def test_accepted_request_is_written_down_with_everything_it_needs(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")

    one = pipeline.operation(pipeline.add("Web", made=made))

    assert (one.kind, one.state, one.alias, one.endpoint) == (
        Kind.ADD,
        State.RECEIVED,
        "Web",
        "https://web.example:443",
    )
    assert one.fingerprint_sha256 == one.certificate == made.fingerprint_sha256
    assert (one.requested_by, one.accepted_at) == ("admin", pipeline.at)
    assert [count(database, table) for table in (operation, certificate_blob, outbox, audit_event)] == [1, 1, 1, 1]


def test_same_bytes_are_stored_once(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")

    pipeline.add("a", made=made)
    pipeline.add("b", made=made)

    assert (count(database, operation), count(database, certificate_blob)) == (2, 1)


def test_same_key_and_same_request_are_one_operation(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")

    first, second = (pipeline.add("web", made=made, key="k-1") for _ in range(2))

    assert first == second
    assert [count(database, table) for table in (operation, outbox, audit_event)] == [1, 1, 1]


def test_same_key_for_another_request_is_refused(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")
    pipeline.add("web", made=made, key="k-1")

    for other in (
        Request(kind=Kind.ADD, alias="web2", endpoint="https://web.example:443", certificate=made.der),
        Request(kind=Kind.ADD, alias="web", endpoint="https://web.example:8443", certificate=made.der),
        Request(kind=Kind.ADD, alias="web", endpoint="https://web.example:443", certificate=made.der, ca=True),
        Request(kind=Kind.DELETE, alias="web"),
    ):
        with pytest.raises(KeyReusedError):
            pipeline.accept(other, key="k-1")
    assert count(database, operation) == 1


def test_same_key_fifty_times_at_once_is_one_operation(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")

    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: pipeline.add("web", made=made, key="k-1"), range(50)))

    assert len(ids) == 1
    assert [count(database, table) for table in (operation, outbox, audit_event)] == [1, 1, 1]


def test_key_is_kept_after_the_operation_ended(database: Database) -> None:
    pipeline, made = Pipeline(database), self_signed("web.example")
    first = pipeline.add("web", made=made, key="k-1")
    pipeline.run()

    assert pipeline.add("web", made=made, key="k-1") == first


def test_delete_of_what_was_never_there_is_not_accepted(database: Database) -> None:
    with pytest.raises(NotFound):
        Pipeline(database).delete("web")

    assert [count(database, table) for table in (operation, outbox, audit_event)] == [0, 0, 0]


def test_delete_of_what_is_on_its_way_is_accepted(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("Web")

    assert pipeline.operation(pipeline.delete("wEb")).kind is Kind.DELETE


def test_many_clients_at_once_lose_nothing(database: Database) -> None:
    pipeline = Pipeline(database)
    made = [self_signed(f"web-{number}.example") for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda number: pipeline.add(f"web-{number}", made=made[number]), range(40)))
    pipeline.run()

    assert len(ids) == 40
    assert len(pipeline.trusted()) == 40
    with database.reading() as transaction:
        assert audit.verify(transaction).sequence == 80
