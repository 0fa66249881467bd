"""Tenants: an id and a domain each, and no alias of the super tenant that could be one of theirs on the gateways."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from tests.pipeline import ADMIN, Pipeline
from tests.published import NOON, publisher_of, tenant
from trustcast.domain.errors import Conflict, NotFound, Rejected
from trustcast.domain.policy import Policy
from trustcast.storage import tables, tenants, truststores
from trustcast.storage.idempotency import KeyReusedError
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT, audit_event
from trustcast.storage.tenants import OnExpiry, Tenant
from trustcast_api.change_tenant import PolicyChange, change_tenant
from trustcast_api.once import Answer

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
    assert made.body == {"id": 7, "domain": "pizza.example", "on_expiry": "keep", "policy": Policy().settings()}
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


def own(database: Database, id: int = 7) -> object:  # noqa: A002
    """What is written down of a tenant's policy."""
    with database.reading() as transaction:
        return transaction.execute(select(tables.tenant.c.policy).where(tables.tenant.c.id == id)).scalar_one()


def policy_of(database: Database, id: int = 7, usual: Policy | None = None) -> Policy:  # noqa: A002
    with database.reading() as transaction:
        return tenants.policies(transaction, [id], usual or Policy())[id]


def test_setting_that_is_not_named_stays_as_it_is(database: Database) -> None:
    tenant(database, 7, policy={"allow_v1": True})
    tenant(database, 7, policy={"certificates_per_endpoint": 3})
    edited = tenant(database, 7)

    assert policy_of(database) == Policy(allow_v1=True, certificates_per_endpoint=3)
    assert edited.body["policy"] == Policy().settings() | {"allow_v1": True, "certificates_per_endpoint": 3}


def test_null_brings_the_installations_setting_back(database: Database) -> None:
    usual = Policy(certificates_per_endpoint=None)
    tenant(database, 7, policy={"certificates_per_endpoint": 2, "allow_ca": False}, usual=usual)
    edited = tenant(database, 7, policy={"certificates_per_endpoint": None}, usual=usual)

    assert edited.body["policy"]["certificates_per_endpoint"] == "unlimited"
    assert policy_of(database, usual=usual) == Policy(certificates_per_endpoint=None, allow_ca=False)


def test_unlimited_is_not_the_same_as_nothing_said(database: Database) -> None:
    tenant(database, 7, policy={"certificates_per_endpoint": "unlimited"})

    assert policy_of(database).certificates_per_endpoint is None


def test_setting_that_is_as_everybodys_stays_when_theirs_changes(database: Database) -> None:
    tenant(database, 7, policy={"certificates_per_endpoint": 1})

    assert policy_of(database, usual=Policy(certificates_per_endpoint=None)).certificates_per_endpoint == 1


def test_same_policy_again_changes_nothing(database: Database) -> None:
    tenant(database, 7, policy={"allow_v1": True})
    tenant(database, 7, policy={"allow_v1": True, "allow_ca": None})

    with database.reading() as transaction:
        assert transaction.execute(select(audit_event.c.action)).scalars().all() == ["tenant.created"]


def test_tenant_without_a_policy_of_its_own_has_none_written_down(database: Database) -> None:
    tenant(database, 7, policy={"allow_v1": True})
    tenant(database, 7, policy={"allow_v1": None})

    assert own(database) is None


def test_what_a_newer_version_wrote_is_left_alone_and_says_nothing(database: Database) -> None:
    tenant(database, 7)
    newer = {"allow_quantum": True, "allow_v1": "on Sundays", "certificates_per_endpoint": True, "allow_ca": False}
    with database.writing() as transaction:
        transaction.execute(update(tables.tenant).where(tables.tenant.c.id == 7).values(policy=newer))
        transaction.commit()

    assert policy_of(database) == Policy(allow_ca=False)
    tenant(database, 7, policy={"allow_short_keys": True})
    assert own(database) == newer | {"allow_short_keys": True}


def test_trail_says_how_a_policy_was_before_and_is_after(database: Database) -> None:
    tenant(database, 7)
    tenant(database, 7, policy={"allow_weak_signatures": True})

    with database.reading() as transaction:
        kept = transaction.execute(select(audit_event.c.facts).order_by(audit_event.c.sequence)).scalars().all()
    facts = json.loads(kept[-1])
    assert facts["before"]["policy"] == Policy().settings()
    assert facts["after"]["policy"] == Policy(allow_weak_signatures=True).settings()


def test_each_tenant_has_its_own_policy_and_the_others_the_installations(database: Database) -> None:
    tenant(database, 7, policy={"allow_v1": True})
    tenant(database, 8)
    usual = Policy(certificates_per_endpoint=5)

    with database.reading() as transaction:
        found = tenants.policies(transaction, [7, 8, SUPER_TENANT], usual)
    assert found == {7: Policy(allow_v1=True, certificates_per_endpoint=5), 8: usual, SUPER_TENANT: usual}


def test_key_of_one_policy_is_none_for_another(database: Database) -> None:
    def asked(**settings: bool) -> Answer:
        return change_tenant(
            database,
            7,
            domain="pizza.example",
            on_expiry=None,
            who=ADMIN,
            idempotency_key="k-1",
            at=NOON,
            policy=PolicyChange(settings),
        )

    first = asked(allow_v1=True)
    tenant(database, 7, "pizza.example", policy={"allow_v1": False})

    assert asked(allow_v1=True) == first
    with pytest.raises(KeyReusedError):
        asked(allow_v1=False)
    assert policy_of(database) == Policy()
