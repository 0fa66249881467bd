"""Which APIs a certificate serves, and which would lose it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from tests.certificates import Made, authority, self_signed
from tests.pipeline import Pipeline
from tests.published import api, environment, publisher_of, register, tenant
from trustcast.storage import apis, routing, uses
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, certificate, certificate_name
from trustcast.storage.uses import Use


def trust(pipeline: Pipeline, alias: str, endpoint: str, made: Made | None = None, *, ca: bool = False) -> None:
    operation = pipeline.add(alias, endpoint, made, ca=ca)
    pipeline.run()
    assert pipeline.operation(operation).problem is None


def used(database: Database, alias: str, tenant_id: int = SUPER_TENANT) -> list[tuple[str, str, str]]:
    with database.reading() as transaction:
        return [(one.name, one.role, one.endpoint) for one in uses.users(transaction, tenant_id, alias)]


def lost(database: Database, alias: str) -> list[tuple[str, str]]:
    with database.reading() as transaction:
        return [(one.name, one.role) for one in uses.uncovered(transaction, SUPER_TENANT, alias)]


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database, per_endpoint=None)


def test_use_names_the_api_and_its_endpoint(pipeline: Pipeline) -> None:
    database = pipeline.database
    id_ = register(database, api("Pizza", "https://a.example/x", provider="mario", version="2", context="/p"))
    trust(pipeline, "a", "https://a.example:443")

    with database.reading() as transaction:
        found = uses.users(transaction, SUPER_TENANT, "a")
    assert found == [Use(id_, "Pizza", "2", "/p", "mario", "https://a.example:443", "production")]


def test_endpoint_is_compared_by_host_and_port(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(database, api("Same", "https://a.example:8443/other/path"))
    register(database, api("OtherPort", "https://a.example:9443"))
    register(database, api("Longer", "https://a.example.evil:8443"))
    register(database, api("Plain", "http://a.example:8443"))
    trust(pipeline, "a", "https://a.example:8443", authority(), ca=True)

    assert used(database, "a") == [("Same", "production", "https://a.example:8443")]


@pytest.mark.parametrize(
    ("sans", "url", "serves"),
    [
        (["a.example", "b.example"], "https://b.example:9443", True),
        (["a.example", "B.Example"], "https://b.EXAMPLE", True),
        (["a.example", "*.b.example"], "https://x.b.example", True),
        (["a.example", "*.b.example"], "https://b.example", False),
        (["a.example", "*.b.example"], "https://x.y.b.example", False),
        (["a.example", "*.example"], "https://b.example", False),
        (["a.example", "10.0.0.1"], "https://10.0.0.1:8443", True),
        (["a.example", "2001:db8::1"], "https://[2001:DB8:0::1]", True),
        (["a.example", "10.0.0.1"], "https://10.0.0.2", False),
        (["a.example", "backend01"], "https://backend01:9443", True),
    ],
)
def test_server_certificate_serves_the_hosts_that_it_names(
    pipeline: Pipeline, sans: list[str], url: str, serves: bool
) -> None:
    register(pipeline.database, api("Other", url))
    trust(pipeline, "a", "https://a.example:443", self_signed("a.example", sans=sans))

    assert bool(used(pipeline.database, "a")) is serves


@pytest.mark.parametrize(("sans", "serves"), [((), True), (["a.example"], False)])
def test_common_name_counts_only_without_alternative_names(pipeline: Pipeline, sans: list[str], serves: bool) -> None:
    register(pipeline.database, api("Other", "https://b.example"))
    endpoint = "https://a.example:443" if sans else "https://b.example:1"
    trust(pipeline, "a", endpoint, self_signed("a.example", sans=sans, common_name="b.example"))

    assert bool(used(pipeline.database, "a")) is serves


def test_wildcard_names_a_label_of_hosts_and_no_part_of_an_address(pipeline: Pipeline) -> None:
    register(pipeline.database, api("Address", "https://10.0.0.1"))
    made = self_signed("a.example", sans=["a.example", "*.0.0.1"])
    trust(pipeline, "a", "https://a.example:443", made)

    assert used(pipeline.database, "a") == []


def test_authority_serves_its_endpoint_alone(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(database, api("Own", "https://a.example"))
    register(database, api("Named", "https://b.example"))
    trust(pipeline, "ca", "https://a.example:443", self_signed("b.example", ca=True), ca=True)

    assert used(database, "ca") == [("Own", "production", "https://a.example:443")]


def test_every_url_of_a_list_is_used(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(
        database, api("Lists", ["https://x.example", "https://a.example"], ["https://a.example", "http://b.example"])
    )
    trust(pipeline, "a", "https://a.example:443")

    assert used(database, "a") == [
        ("Lists", "production", "https://a.example:443"),
        ("Lists", "sandbox", "https://a.example:443"),
    ]


def test_one_tenants_certificate_serves_no_other_tenants_api(pipeline: Pipeline) -> None:
    database = pipeline.database
    tenant(database, 7)
    register(database, api("Ours", "https://a.example"))
    register(database, api("Theirs", "https://a.example"), who=publisher_of(7))
    trust(pipeline, "a", "https://a.example:443")

    assert used(database, "a") == [("Ours", "production", "https://a.example:443")]
    assert used(database, "a", tenant_id=7) == []


def test_what_nothing_else_covers_would_be_lost(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(database, api("Pizza", "https://a.example", "https://a.example:9443"))
    trust(pipeline, "a", "https://a.example:443")

    assert lost(database, "a") == [("Pizza", "production"), ("Pizza", "sandbox")]


@pytest.mark.parametrize(
    ("endpoint", "sans", "ca", "covers"),
    [
        ("https://a.example:443", ["a.example"], False, True),  # the same endpoint
        ("https://a.example:443", ["b.example"], True, True),  # its authority
        ("https://a.example:9443", ["a.example"], False, True),  # the same host's name
        ("https://b.example:443", ["b.example", "a.example"], False, True),
        ("https://b.example:443", ["b.example"], False, False),
        ("https://a.example:9443", ["b.example"], True, False),  # an authority for another port
    ],
)
def test_another_certificate_covers_the_use(
    pipeline: Pipeline, endpoint: str, sans: list[str], ca: bool, covers: bool
) -> None:
    database = pipeline.database
    register(database, api("Pizza", "https://a.example"))
    trust(pipeline, "a", "https://a.example:443")
    trust(pipeline, "other", endpoint, self_signed(sans[0], sans=sans, ca=ca), ca=ca)

    assert (lost(database, "a") == []) is covers
    pipeline.delete("other", force=True)
    pipeline.run()
    assert lost(database, "a") == [("Pizza", "production")]


@pytest.mark.parametrize("endpoint", ["https://a.example:443", "https://b.example:443"], ids=["endpoint", "name"])
def test_another_tenants_certificate_covers_nothing(pipeline: Pipeline, endpoint: str) -> None:
    database = pipeline.database
    tenant(database, 7)
    register(database, api("Pizza", "https://a.example"))
    trust(pipeline, "a", "https://a.example:443")
    trust(pipeline, "b", "https://c.example:443")
    made = self_signed("b.example", sans=["b.example", "a.example"])
    for alias in ("b", "other"):  # also under an alias that is ours, too
        pipeline.add(alias, endpoint, made if alias == "b" else None, ca=alias != "b", who=publisher_of(7))
        pipeline.run()

    assert lost(database, "a") == [("Pizza", "production")]


def test_wildcard_covers_and_its_end_is_noticed(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(database, api("One", "https://one.corp.example"))
    register(database, api("Two", "https://two.corp.example"))
    trust(pipeline, "wild", "https://any.corp.example:443", self_signed("any.corp.example", sans=["*.corp.example"]))
    trust(pipeline, "two", "https://two.corp.example:443")

    assert lost(database, "wild") == [("One", "production")]
    assert lost(database, "two") == []


def test_certificate_covers_in_every_environment_that_calls_what_it_serves(pipeline: Pipeline) -> None:
    database = pipeline.database
    environment(database, "live", "production")
    environment(database, "default", "sandbox")
    register(database, api("Live", "https://a.example"))
    register(database, api("Test", sandbox="https://b.example"))
    trust(pipeline, "live", "https://a.example:443")
    trust(pipeline, "test", "https://b.example:443", self_signed("b.example", sans=["b.example", "a.example"]))

    assert (lost(database, "live"), lost(database, "test")) == ([], [("Test", "sandbox")])
    assert pipeline.trusted("live") == {"live", "test"}


def test_api_of_a_type_that_takes_no_certificates_uses_none(pipeline: Pipeline) -> None:
    database = pipeline.database
    register(database, api("Socket", "https://a.example", type="WS"))
    trust(pipeline, "by-name", "https://elsewhere.example", self_signed("a.example"))
    register(database, api("Soap", "https://b.example", type="HTTP/SOAP"))
    trust(pipeline, "soap", "https://b.example:443", self_signed("b.example"))

    assert (used(database, "by-name"), lost(database, "by-name")) == ([], [])
    assert used(database, "soap") == [("Soap", "production", "https://b.example:443")]


def test_unknown_alias_serves_nothing(pipeline: Pipeline) -> None:
    register(pipeline.database, api("Pizza", "https://a.example"))

    assert used(pipeline.database, "a") == []
    assert lost(pipeline.database, "a") == []


def test_certificate_that_goes_while_we_look_loses_nobody(postgres_url: str) -> None:
    """As at the door. On SQLite nobody else writes there meanwhile."""
    database = Database(postgres_url)
    pipeline = Pipeline(Database(postgres_url))
    looked: list[bool] = []
    register(database, api("Pizza", "https://a.example"))
    trust(pipeline, "a", "https://a.example:443")

    def delete_it(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "api_endpoint" in statement and not looked:
            looked.append(True)
            pipeline.delete("a", force=True)
            pipeline.run()

    event.listen(database.engine, "after_cursor_execute", delete_it)
    with database.writing() as transaction:
        found = uses.uncovered(transaction, SUPER_TENANT, "a")

    assert (found, looked) == ([], [True])
    assert pipeline.trusted() == set()
    for one in (database, pipeline.database):
        one.close()


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    yield seen
    event.remove(database.engine, "before_cursor_execute", keep)


def test_no_question_reads_a_whole_table(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    pipeline = Pipeline(database)
    for number in range(200):
        register(database, api(f"Api{number}", f"https://x.c-{number}.example"))
    register(database, api("Pizza", "https://a.example"))
    trust(pipeline, "a", "https://a.example:443", self_signed("a.example", sans=["a.example", "*.b.example"]))
    trust(pipeline, "b", "https://a.example:444")
    _add_many(database)

    with statements(database) as asked, database.reading() as transaction:
        uses.uncovered(transaction, SUPER_TENANT, "a")
        routing.environments_of(transaction, SUPER_TENANT, [("a", "https://a.example:443")])
        routing.concerned(transaction, [routing.Due(1, SUPER_TENANT, "https://a.example:443")])
        apis.callers(transaction, SUPER_TENANT, "https://a.example:443")

    with database.reading() as transaction:
        plans = [
            line.detail
            for statement, parameters in asked
            for line in transaction.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    scanned = [
        line for line in plans if line.startswith("SCAN") and not line.startswith(("SCAN environment", "SCAN anon"))
    ]
    assert [line for line in plans if "AM_CERTIFICATE_METADATA" in line]
    assert scanned == []
    database.close()


def _add_many(database: Database) -> None:
    """Other certificates of the tenant, so that the planner has something to avoid."""
    with database.writing() as transaction:
        operation = transaction.execute(text("SELECT id FROM operation LIMIT 1")).scalar_one()
        one = dict(zip(certificate.c.keys(), transaction.execute(certificate.select().limit(1)).one(), strict=True))
        many = [f"c-{number}" for number in range(1000)]
        rows = [one | {"operation": operation, "alias": alias, "alias_key": alias} for alias in many]
        rows = [row | {"endpoint": f"https://{row['alias']}.example:443"} for row in rows]
        transaction.execute(insert(certificate), rows)
        names = [{"tenant_id": SUPER_TENANT, "alias_key": alias, "name": f"{alias}.example"} for alias in many]
        transaction.execute(insert(certificate_name), names)
        transaction.execute(text("ANALYZE"))
        transaction.commit()
