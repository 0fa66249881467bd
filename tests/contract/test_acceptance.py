"""Accepting a request: all of it in one commit, and the same request twice is one operation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Table, func, select

from tests.certificates import self_signed
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import Conflict, NotFound
from trustcast.domain.operation import Kind, State
from trustcast.storage import audit, chains
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob, idempotency_key, operation, outbox
from trustcast_api.accept_request import Asked, Result, accept_requests
from trustcast_api.problems import ForbiddenError
from trustcast_api.request import Request
from trustcast_api.settings import Unregistered


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


def asked_to_add(alias: str, *, key: str | None = None, chain: Sequence[bytes] = ()) -> Asked:
    made = self_signed(f"{alias}.example")
    endpoint = f"https://{alias}.example:443"
    request = Request(kind=Kind.ADD, alias=alias, endpoint=endpoint, certificate=made.der, chain=tuple(chain))
    return Asked(request, ADMIN, key)


def asked_to_delete(alias: str, *, key: str | None = None) -> Asked:
    return Asked(Request(kind=Kind.DELETE, alias=alias), ADMIN, key)


def together(database: Database, *asked: Asked) -> list[Result]:
    return accept_requests(database, asked, at=Pipeline(database).at)


def id_of(result: Result) -> str:
    assert not isinstance(result, Exception)
    return result.id


def in_order(database: Database) -> list[str]:
    """The ids of all operations in the order of acceptance."""
    with database.reading() as transaction:
        return list(transaction.execute(select(operation.c.id).order_by(operation.c.sequence)).scalars())


def test_requests_written_together_are_accepted_in_their_order(database: Database) -> None:
    results = together(database, *(asked_to_add(f"web-{number}") for number in range(30)))

    assert in_order(database) == [id_of(one) for one in results]
    with database.reading() as transaction:
        events = transaction.execute(select(audit_event.c.facts).order_by(audit_event.c.sequence)).scalars()
        assert [id_of(one) in facts for one, facts in zip(results, events, strict=True)] == [True] * 30
        assert audit.verify(transaction).sequence == 30


def test_requests_written_together_wake_the_worker_once(database: Database) -> None:
    together(database, *(asked_to_add(f"web-{number}") for number in range(5)))

    assert [count(database, table) for table in (operation, certificate_blob, outbox)] == [5, 5, 1]


def test_one_that_is_refused_leaves_nothing_behind_and_stops_nobody(database: Database) -> None:
    stranger = replace(ADMIN, name="token:1", scopes=frozenset(), alias_prefixes=("billing",))
    not_theirs = replace(asked_to_add("other", key="k-2"), who=stranger)
    first, nothing_there, forbidden, last = together(
        database, asked_to_add("a"), asked_to_delete("never", key="k-1"), not_theirs, asked_to_add("b")
    )

    assert in_order(database) == [id_of(first), id_of(last)]
    assert isinstance(nothing_there, NotFound)
    assert isinstance(forbidden, ForbiddenError)
    assert [count(database, table) for table in (certificate_blob, audit_event, idempotency_key)] == [2, 2, 0]


def test_nothing_is_written_where_all_are_refused(database: Database) -> None:
    results = together(database, asked_to_delete("a"), asked_to_delete("b"))

    assert [type(one) for one in results] == [NotFound, NotFound]
    assert [count(database, table) for table in (operation, outbox, audit_event)] == [0, 0, 0]


def test_later_requests_see_what_earlier_ones_of_the_same_commit_have_on_its_way(database: Database) -> None:
    replacement = Request(kind=Kind.REPLACE, alias="WEB", certificate=self_signed("web.example").der)
    rotation = Request(kind=Kind.ADD, alias="web.next", rotation="web", certificate=self_signed("web.example").der)
    results = together(
        database,
        Asked(replacement, ADMIN),
        asked_to_add("Web"),
        Asked(replacement, ADMIN),
        Asked(rotation, ADMIN),
        asked_to_delete("web"),
        asked_to_delete("other"),
    )

    accepted = [one for one in results if not isinstance(one, Exception)]
    assert [type(results[0]), type(results[-1])] == [NotFound, NotFound]
    assert [(one.kind, one.alias, one.endpoint) for one in accepted] == [
        (Kind.ADD, "Web", "https://Web.example:443"),
        (Kind.REPLACE, "Web", "https://Web.example:443"),
        (Kind.ADD, "Web.next", "https://Web.example:443"),
        (Kind.DELETE, "web", None),
    ]
    assert in_order(database) == [one.id for one in accepted]


def test_same_key_twice_in_one_commit_is_one_operation(database: Database) -> None:
    one, other = asked_to_add("a", key="k-1"), asked_to_add("b", key="k-2")

    results = together(database, one, other, one, other, one)

    ids = [id_of(each) for each in results]
    assert ids == [*in_order(database), *in_order(database), ids[0]]
    assert [count(database, table) for table in (operation, audit_event, idempotency_key)] == [2, 2, 2]
    assert [id_of(each) for each in together(database, other, one)] == [ids[1], ids[0]]


def test_same_key_for_another_request_of_the_same_commit_is_refused(database: Database) -> None:
    first, second, third = together(
        database, asked_to_add("a", key="k-1"), asked_to_add("b", key="k-1"), asked_to_add("c")
    )

    assert isinstance(second, KeyReusedError)
    assert in_order(database) == [id_of(first), id_of(third)]


def test_key_of_one_that_is_refused_is_free_for_the_next(database: Database) -> None:
    refused, accepted = together(database, asked_to_delete("a", key="k-1"), again := asked_to_add("a", key="k-1"))

    assert isinstance(refused, NotFound)
    assert [id_of(one) for one in together(database, again)] == [id_of(accepted)]
    assert isinstance(together(database, asked_to_delete("a", key="k-1"))[0], KeyReusedError)


def test_keys_of_two_principals_are_two(database: Database) -> None:
    one = asked_to_add("a", key="k-1")
    results = together(database, one, replace(one, who=replace(ADMIN, name="token:1")))

    assert in_order(database) == [id_of(each) for each in results]


def test_commits_that_want_the_same_keys_do_not_wait_for_each_other(database: Database) -> None:
    asked = [asked_to_add(f"web-{number}", key=f"k-{number}") for number in range(20)]

    with ThreadPoolExecutor(4) as pool:
        orders = [asked, asked[::-1]] * 10
        results = list(pool.map(lambda some: together(database, *some), orders))

    assert len({id_of(one) for some in results for one in some}) == 20
    assert [count(database, table) for table in (operation, idempotency_key)] == [20, 20]


def test_what_comes_with_a_certificate_is_written_down_with_it(database: Database) -> None:
    issuer, root = self_signed("issuer.example").der, self_signed("root.example").der
    first, second = together(database, asked_to_add("a", chain=[issuer, root]), asked_to_add("b", chain=[root]))

    with database.reading() as transaction:
        kept = chains.of(transaction, [id_of(first), id_of(second)])
    assert kept == {id_of(first): [issuer, root], id_of(second): [root]}


def test_endpoint_of_no_api_stops_nobody_whose_endpoint_has_one(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.api("web", production="https://web.example")
    asked = [asked_to_add("other"), asked_to_add("web")]

    refused, accepted = accept_requests(database, asked, at=pipeline.at, unregistered=Unregistered.REFUSE)

    assert isinstance(refused, Conflict)
    assert refused.code == "endpoint_not_registered"
    assert in_order(database) == [id_of(accepted)]
