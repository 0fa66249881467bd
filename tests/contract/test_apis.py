"""Registered APIs: each tenant's own, changed whole, and with every change a look at where certificates belong."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, select

from tests.pipeline import Pipeline
from tests.published import api, change, environment, publisher_of, register, remove, tenant
from trustcast.domain.errors import Conflict, NotFound, RejectedMany
from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi
from trustcast.storage import apis, audit
from trustcast.storage.apis import Caller
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, api_endpoint, audit_event, outbox, routing_due
from trustcast.storage.tables import api as api_table
from trustcast_api.list_apis import Filters, list_apis

THEIRS = 7
WHOLE = PublishedApi(
    name="Pizza",
    version="1.0.0",
    context="/pizza",
    provider="mario",
    type="HTTP/SOAP",
    production=Backends(
        EndpointKind.FAILOVER, ("https://B.example/{x y}", "https://a.example:8443", "http://c.example")
    ),
    sandbox=Backends(EndpointKind.SINGLE, ("https://b\u00fccher.example/\u00e4",)),
)


def kept(database: Database, id: str, tenant_id: int = SUPER_TENANT) -> PublishedApi:  # noqa: A002
    with database.reading() as transaction:
        return apis.get(transaction, tenant_id, id).api


def due(database: Database) -> list[tuple[int | None, str | None]]:
    """What is to be looked at again; forgotten after it was told."""
    with database.writing() as transaction:
        found = transaction.execute(select(routing_due.c.tenant_id, routing_due.c.endpoint).order_by(routing_due.c.id))
        rows = [(row.tenant_id, row.endpoint) for row in found]
        transaction.execute(delete(routing_due))
        transaction.commit()
    return rows


def count(database: Database, table: object) -> int:
    with database.reading() as transaction:
        return int(transaction.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def names(database: Database, filters: Filters, tenant_id: int = SUPER_TENANT) -> list[str]:
    found, total = list_apis(database, tenant_id, filters, limit=100, offset=0)
    assert total == len(found)
    return [one.api.name for one in found]


def test_registered_api_is_kept_as_it_was_given(database: Database) -> None:
    id_ = register(database, WHOLE)

    assert kept(database, id_) == WHOLE


def test_normal_forms_are_kept_beside_the_urls(database: Database) -> None:
    register(database, WHOLE)

    of = api_endpoint.c
    with database.reading() as transaction:
        rows = transaction.execute(select(of.role, of.endpoint, of.host, of.parent).order_by(of.role, of.position))
        assert [tuple(row) for row in rows] == [
            ("production", "https://b.example:443", "b.example", None),
            ("production", "https://a.example:8443", "a.example", None),
            ("production", None, None, None),
            ("sandbox", "https://xn--bcher-kva.example:443", "xn--bcher-kva.example", None),
        ]


def test_changed_api_is_the_new_one_whole(database: Database) -> None:
    id_ = register(database, WHOLE)
    wanted = replace(WHOLE, name="Pasta", type="WS", production=None, context="/pasta")

    body = change(database, id_, wanted)

    assert kept(database, id_) == wanted
    assert (body["id"], body["name"], body["endpoints"]["production"]) == (id_, "Pasta", None)


def test_removed_api_is_gone(database: Database) -> None:
    id_ = register(database, WHOLE)

    assert remove(database, id_).status == 204

    with pytest.raises(NotFound, match="no API"):
        kept(database, id_)
    assert count(database, api_endpoint) == 0


def test_wrong_api_is_refused_before_anything_is_written(database: Database) -> None:
    id_ = register(database, WHOLE)
    events = count(database, audit_event)
    wrong = api("Pizza", "ftp://a.example")

    with pytest.raises(RejectedMany):
        register(database, wrong)
    with pytest.raises(RejectedMany):
        change(database, id_, wrong)

    assert (count(database, api_table), count(database, audit_event)) == (1, events)


def test_name_and_version_are_one_apis(database: Database) -> None:
    register(database, api("Pizza"))
    other = register(database, api("Pizza", version="2.0.0"))

    with pytest.raises(Conflict) as taken:
        register(database, api("Pizza"))
    assert taken.value.code == "api_exists"
    with pytest.raises(Conflict) as taken:
        change(database, other, api("Pizza"))
    assert taken.value.code == "api_exists"


def test_of_twins_that_come_at_once_one_is_registered(database: Database) -> None:
    def attempt(_: int) -> str:
        try:
            register(database, api("Pizza", "https://a.example"))
        except Conflict as conflict:
            return conflict.code
        return "registered"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(16)))

    assert sorted(outcomes) == ["api_exists"] * 15 + ["registered"]
    assert count(database, routing_due) == 1


def test_same_key_gets_the_same_answer(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: register(database, WHOLE, key="once"), range(16)))

    assert len(ids) == 1
    assert (count(database, api_table), count(database, audit_event)) == (1, 1)
    with pytest.raises(KeyReusedError):
        register(database, replace(WHOLE, provider="luigi"), key="once")


def test_removal_sent_again_is_answered_again(database: Database) -> None:
    id_ = register(database, WHOLE)

    assert [remove(database, id_, key="gone").status for _ in range(2)] == [204, 204]


def test_each_endpoint_that_comes_goes_or_changes_its_role_is_looked_at_again(database: Database) -> None:
    id_ = register(database, api("Pizza", ["https://a.example", "https://b.example"], "https://c.example"))
    assert due(database) == [(SUPER_TENANT, f"https://{host}.example:443") for host in "abc"]

    change(database, id_, api("Pizza", ["https://b.example/other", "https://c.example"], "https://d.example"))
    assert due(database) == [(SUPER_TENANT, f"https://{host}.example:443") for host in "acd"]

    remove(database, id_)
    assert due(database) == [(SUPER_TENANT, f"https://{host}.example:443") for host in "bcd"]


def test_look_is_owed_to_the_worker(database: Database) -> None:
    register(database, api("Pizza", "https://a.example"))

    with database.reading() as transaction:
        assert transaction.execute(select(outbox.c.type)).scalars().all() == ["trustcast.operation.validated.v1"]


@pytest.mark.parametrize(
    "alter",
    [
        lambda one: one,
        lambda one: replace(one, context="/new"),
        lambda one: replace(one, production=Backends(EndpointKind.LOAD_BALANCED, ("https://a.example/new",))),
        lambda one: replace(one, sandbox=Backends(EndpointKind.SINGLE, ("http://a.example",))),
    ],
    ids=["nothing", "context", "path", "http"],
)
def test_change_that_moves_no_certificate_wakes_nobody(
    database: Database, alter: Callable[[PublishedApi], PublishedApi]
) -> None:
    one = api("Pizza", "https://a.example")
    id_ = register(database, one)
    due(database)
    owed = count(database, outbox)

    change(database, id_, alter(one))

    assert due(database) == []
    assert count(database, outbox) == owed


def test_same_content_again_changes_nothing(database: Database) -> None:
    id_ = register(database, WHOLE)
    events = count(database, audit_event)

    body = change(database, id_, WHOLE)

    assert body["updated_at"] == body["created_at"]
    assert count(database, audit_event) == events


def test_certificate_follows_the_role_of_its_endpoint(database: Database) -> None:
    pipeline = Pipeline(database)
    environment(database, "live", "production")
    environment(database, "test", "sandbox")
    pipeline.add("a", "https://a.example:443")
    pipeline.run()

    def where() -> list[str]:
        pipeline.later(seconds=1)
        pipeline.apply()
        return [name for name in ("default", "live", "test") if "a" in pipeline.trusted(name)]

    assert where() == ["default", "live", "test"]
    id_ = register(database, api("Pizza", "https://a.example/x"))
    assert where() == ["default", "live"]
    change(database, id_, api("Pizza", None, "https://a.example/x"))
    assert where() == ["default", "test"]
    change(database, id_, api("Pizza", "https://b.example", "http://a.example"))
    assert where() == ["default", "live", "test"]
    change(database, id_, api("Pizza", "https://a.example"))
    assert where() == ["default", "live"]
    remove(database, id_)
    assert where() == ["default", "live", "test"]


def test_who_did_what_is_on_record_without_secrets_of_urls(database: Database) -> None:
    id_ = register(database, api("Pizza", "https://a.example/?key=s3cret"))
    change(database, id_, api("Pizza", "https://b.example/?key=s3cret"))
    remove(database, id_)

    with database.reading() as transaction:
        events = transaction.execute(select(audit_event).order_by(audit_event.c.sequence)).all()
        assert audit.verify(transaction).sequence == 3
    assert [one.action for one in events] == ["api.registered", "api.changed", "api.removed"]
    assert {(one.actor, one.tenant_id) for one in events} == {("admin", SUPER_TENANT)}
    changed = json.loads(events[1].facts)
    assert changed["api"] == id_
    assert changed["before"]["production"] == ["https://a.example:443"]
    assert changed["after"]["production"] == ["https://b.example:443"]
    assert not any("s3cret" in one.facts for one in events)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["100%", "1000", "Pasta", "Pizza"]),
        ({"name": "PA"}, ["Pasta"]),
        ({"name": "0%"}, ["100%"]),
        ({"name": "_"}, []),
        ({"version": "2.0.0"}, ["Pasta"]),
        ({"context": "/pizza"}, ["Pizza"]),
        ({"provider": "mario"}, ["Pizza"]),
        ({"type": "WS"}, ["1000"]),
        ({"endpoint": "https://A.example"}, ["Pasta", "Pizza"]),
        ({"endpoint": "https://a.example/other/path"}, ["Pasta", "Pizza"]),
        ({"endpoint": "https://a.example:443"}, ["Pizza"]),
        ({"endpoint": "https://a.example:8443", "provider": "mario"}, []),
        ({"endpoint": "https://a.exampl"}, []),
        ({"endpoint": "https://a.example.evil"}, []),
    ],
)
def test_filters_find_what_they_say(database: Database, filters: dict[str, str], found: list[str]) -> None:
    register(database, api("Pizza", "https://a.example/x", provider="mario"))
    register(database, api("Pasta", None, ["https://b.example", "https://a.example:8443"], version="2.0.0"))
    register(database, api("100%"))
    register(database, api("1000", "wss://a.example", type="WS"))

    assert names(database, Filters(**filters)) == found


def test_pages_cover_the_list_once(database: Database) -> None:
    for number in range(5):
        register(database, api(f"Api{number}", [f"https://a{number}.example", "https://b.example"]))

    pages = [list_apis(database, SUPER_TENANT, Filters(), limit=2, offset=offset) for offset in (0, 2, 4, 6)]

    assert [[one.api.name for one in found] for found, _ in pages] == [
        ["Api0", "Api1"],
        ["Api2", "Api3"],
        ["Api4"],
        [],
    ]
    assert {total for _, total in pages} == {5}
    assert all(one.api.production and len(one.api.production.urls) == 2 for found, _ in pages for one in found)


def test_two_tenants_may_have_the_same_api_and_see_their_own(database: Database) -> None:
    tenant(database, THEIRS)
    ours = register(database, api("Pizza", "https://a.example"))
    theirs = register(database, api("Pizza", None, "https://a.example"), who=publisher_of(THEIRS))

    assert kept(database, ours) == api("Pizza", "https://a.example")
    assert kept(database, theirs, THEIRS) == api("Pizza", None, "https://a.example")
    there = Filters(endpoint="https://a.example")
    assert names(database, there) == names(database, there, THEIRS) == ["Pizza"]
    with database.reading() as transaction:
        assert apis.callers(transaction, THEIRS, "https://a.example:443") == [Caller("Pizza", "1.0.0", "HTTP/REST")]
        assert apis.callers(transaction, 8, "https://a.example:443") == []


def test_one_tenant_neither_sees_changes_nor_removes_anothers(database: Database) -> None:
    tenant(database, THEIRS)
    ours = register(database, WHOLE)
    them = publisher_of(THEIRS)

    for attempt in (
        lambda: kept(database, ours, THEIRS),
        lambda: change(database, ours, api("Mine"), who=them),
        lambda: remove(database, ours, who=them),
    ):
        with pytest.raises(NotFound) as refused:
            attempt()
        assert refused.value.code == "api_not_found"

    assert kept(database, ours) == WHOLE


def test_tenants_api_moves_its_own_certificates_alone(database: Database) -> None:
    pipeline = Pipeline(database)
    tenant(database, THEIRS)
    environment(database, "live", "production")
    pipeline.add("a", "https://a.example:443")
    pipeline.add("a", "https://a.example:443", who=publisher_of(THEIRS))
    pipeline.run()

    register(database, api("Pizza", None, "https://a.example"), who=publisher_of(THEIRS))
    pipeline.later(seconds=1)
    pipeline.apply()

    assert pipeline.trusted("live") == {"a"}
    assert pipeline.trusted("default") == {"a", f"a_{THEIRS}"}


def test_callers_of_an_endpoint_come_with_their_types(database: Database) -> None:
    register(database, api("Two", None, "https://a.example:443/x", type="HTTP/SOAP"))
    register(database, api("One", "https://a.example", type="WS"))

    with database.reading() as transaction:
        assert apis.callers(transaction, SUPER_TENANT, "https://a.example:443") == [
            Caller("One", "1.0.0", "WS"),
            Caller("Two", "1.0.0", "HTTP/SOAP"),
        ]
        assert apis.callers(transaction, SUPER_TENANT, "https://a.example:444") == []


def test_changes_of_one_api_at_once_lose_no_look(database: Database) -> None:
    """Each starts from what the one before left, so whatever came or went is looked at again."""
    id_ = register(database, api("Pizza", "https://a0.example"))
    due(database)

    def attempt(number: int) -> None:
        change(database, id_, api("Pizza", f"https://a{number}.example"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(1, 9)))

    looked_at = [endpoint for _, endpoint in due(database)]
    last = kept(database, id_).endpoints()
    # Each endpoint came once and went once, but the first only went and the last only came.
    assert len(looked_at) == 16
    assert all(
        looked_at.count(f"https://a{n}.example:443") == 2 - ({f"https://a{n}.example:443"} == last) for n in range(1, 9)
    )
