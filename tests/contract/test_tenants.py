"""Tenants: an id and a domain each, and no alias of the super tenant that could be one of theirs on the gateways."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tests.pipeline import Pipeline
from tests.published import publisher_of, tenant
from trustcast.domain.errors import Conflict, NotFound, Rejected
from trustcast.storage import tenants, truststores
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, audit_event
from trustcast.storage.tenants import OnExpiry, Tenant

CARBON = Tenant(SUPER_TENANT, "carbon.super", OnExpiry.KEEP)


def kept(database: Database) -> list[Tenant]:
    with database.reading() as transaction:
        found, total = tenants.page(transaction, limit=10, offset=0)
    assert total == len(found)
    return found


def refusal(database: Database, id: int, domain: str = "") -> str:  # noqa: A002
    with pytest.raises((Conflict, Rejected)) as refused:
        tenant(database, id, domain)
    return refused.value.code


def test_super_tenant_is_there_from_the_start(database: Database) -> None:
    assert kept(database) == [CARBON]


def test_tenant_is_made_and_edited(database: Database) -> None:
    made = tenant(database, 7, "pizza.example")
    edited = tenant(database, 7, "pasta.example", "remove")

    assert (made.status, edited.status) == (201, 200)
    assert made.body == {"id": 7, "domain": "pizza.example", "on_expiry": "keep"}
    assert kept(database) == [CARBON, Tenant(7, "pasta.example", OnExpiry.REMOVE)]


def test_same_content_again_changes_nothing(database: Database) -> None:
    tenant(database, 7)
    tenant(database, 7)

    with database.reading() as transaction:
        assert transaction.execute(select(audit_event.c.action)).scalars().all() == ["tenant.created"]


def test_tenant_is_found_by_id_and_domain(database: Database) -> None:
    tenant(database, 7, "pizza.example")

    with database.reading() as transaction:
        assert tenants.by_domain(transaction, "Pizza.Example") == tenants.get(transaction, 7)
        assert tenants.by_domain(transaction, "pasta.example") is None
        assert tenants.ids(transaction) == {SUPER_TENANT, 7}
        with pytest.raises(NotFound, match="no tenant"):
            tenants.get(transaction, 8)


@pytest.mark.parametrize("id_", [0, -1, -1233, -1235, 2**31])
def test_other_ids_than_the_super_tenants_are_positive(database: Database, id_: int) -> None:
    assert refusal(database, id_) == "tenant_id_invalid"


def test_domain_is_one_tenants(database: Database) -> None:
    tenant(database, 7, "pizza.example")
    tenant(database, 8, "pasta.example")

    assert refusal(database, 9, "pizza.example") == "tenant_domain_taken"
    assert refusal(database, 8, "pizza.example") == "tenant_domain_taken"
    assert refusal(database, 9, "carbon.super") == "tenant_domain_taken"


def test_super_tenant_keeps_its_domain_and_may_change_the_rest(database: Database) -> None:
    assert refusal(database, SUPER_TENANT, "other.example") == "tenant_domain_fixed"

    tenant(database, SUPER_TENANT, "carbon.super", "remove")

    assert kept(database) == [Tenant(SUPER_TENANT, "carbon.super", OnExpiry.REMOVE)]


@pytest.mark.parametrize("trusted", [False, True], ids=["awaited", "trusted"])
def test_alias_of_the_super_tenant_takes_the_id(database: Database, *, trusted: bool) -> None:
    pipeline = Pipeline(database)
    pipeline.add("Web_7")
    if trusted:
        pipeline.run()

    assert refusal(database, 7) == "tenant_id_taken_by_alias"
    tenant(database, 77)


@pytest.mark.parametrize("alias", ["web7", "web-7", "web_77", "web_7x", "web_7.next"])
def test_alias_that_ends_otherwise_takes_no_id(database: Database, alias: str) -> None:
    pipeline = Pipeline(database)
    pipeline.add(alias, "https://a.example:443")
    pipeline.run()

    assert tenant(database, 7).status == 201


def test_alias_that_is_gone_takes_no_id(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.add("web_7")
    pipeline.run()
    pipeline.delete("web_7")
    pipeline.run()

    assert tenant(database, 7).status == 201


def test_another_tenants_alias_takes_no_id(database: Database) -> None:
    pipeline = Pipeline(database)
    tenant(database, 8)
    pipeline.add("web_7", "https://a.example:443", who=publisher_of(8))
    pipeline.run()

    assert tenant(database, 7).status == 201


def test_no_alias_is_taken_while_a_tenant_is_made(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as transaction:
            truststores.hold_all(transaction)  # as whoever applies changes does
            made = pool.submit(tenant, database, 7)
            with pytest.raises(TimeoutError):
                made.result(timeout=0.3)

        assert made.result(timeout=10).status == 201


def test_tenant_that_was_there_first_keeps_what_it_is(database: Database) -> None:
    """The super tenant's later alias is refused, so an edit has nothing to look for."""
    tenant(database, 7)
    pipeline = Pipeline(database)
    operation = pipeline.add("web_7", "https://a.example:443")
    pipeline.validate()

    assert tenant(database, 7, "pasta.example").status == 200
    pipeline.run()
    assert (pipeline.operation(operation).problem or {})["code"] == "alias_reserved"
