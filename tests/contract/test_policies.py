"""What comes in is judged by the policy of the tenant that asks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from tests.certificates import Made, authority, rsa_key, self_signed
from tests.pipeline import Pipeline
from tests.published import publisher_of, tenant
from trustcast.domain.operation import Kind
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api.request import Request

SHORT = self_signed("web.example", key=rsa_key(1024))


def fate(pipeline: Pipeline, operation: str, tenant_id: int = SUPER_TENANT) -> str:
    """The code of the refusal, else the state."""
    found = pipeline.operation(operation, tenant_id)
    return str(found.problem["code"]) if found.problem else str(found.state)


def warned(pipeline: Pipeline, operation: str, tenant_id: int = SUPER_TENANT) -> set[str]:
    return {one["code"] for one in pipeline.operation(operation, tenant_id).warnings}


def upload(pipeline: Pipeline, made: Made, tenant_id: int = SUPER_TENANT, *, ca: bool = False) -> str:
    return pipeline.add("web", "https://web.example:443", made, ca=ca, who=publisher_of(tenant_id))


def ahead(pipeline: Pipeline, made: Made, *, days: int) -> str:
    """Upload for a time of activation."""
    asked = Request(
        kind=Kind.ADD,
        alias="web",
        endpoint="https://web.example:443",
        certificate=made.der,
        activate_at=pipeline.at + timedelta(days=days),
    )
    return pipeline.accept(asked)


def test_each_tenants_uploads_are_judged_by_its_own_policy(database: Database) -> None:
    pipeline = Pipeline(database)
    tenant(database, 7, policy={"allow_short_keys": True})
    tenant(database, 8)
    asked = {number: upload(pipeline, SHORT, number) for number in (7, 8, SUPER_TENANT)}

    pipeline.validate()

    expected = {7: "validated", 8: "key_size", SUPER_TENANT: "key_size"}
    assert {number: fate(pipeline, operation, number) for number, operation in asked.items()} == expected
    assert "key_short_accepted" in warned(pipeline, asked[7], 7)


def test_policy_counts_from_the_next_verdict_on(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = upload(pipeline, authority("CA"), ca=True)
    tenant(database, SUPER_TENANT, "carbon.super", policy={"allow_ca": False})

    pipeline.validate()

    assert fate(pipeline, operation) == "ca_forbidden"


def test_policies_of_many_tenants_cost_one_look(database: Database) -> None:
    pipeline = Pipeline(database)
    for number in range(1, 6):
        tenant(database, number, policy={"allow_v1": True})
        upload(pipeline, self_signed("web.example"), number)
    looks: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: looks.append(told[2]))

    pipeline.validate()

    assert len([one for one in looks if "FROM tenant" in one]) == 1


@pytest.mark.parametrize(
    ("allowed", "days", "expected"),
    [(True, 3, "validated"), (True, 1, "activate_at_too_early"), (False, 3, "activate_at_not_allowed")],
)
def test_certificate_that_is_not_valid_yet_waits_for_its_time_where_the_tenant_allows_it(
    database: Database,
    allowed: bool,
    days: int,
    expected: str,
) -> None:
    pipeline = Pipeline(database)
    tenant(database, SUPER_TENANT, "carbon.super", policy={"allow_not_yet_valid": allowed})
    operation = ahead(pipeline, self_signed("web.example", not_before=pipeline.at + timedelta(days=2)), days=days)

    pipeline.validate()

    assert fate(pipeline, operation) == expected


def test_switch_that_is_planned_is_everybodys(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = ahead(pipeline, self_signed("web.example", not_before=pipeline.at - timedelta(days=1)), days=3)

    pipeline.validate()

    assert fate(pipeline, operation) == "validated"
    assert "activates_later" in warned(pipeline, operation)


def both_at_one_endpoint(pipeline: Pipeline, tenant_id: int) -> list[str]:
    """The fates of two certificates for one endpoint."""
    asked = [
        pipeline.add(alias, "https://web.example:443", who=publisher_of(tenant_id)) for alias in ("first", "second")
    ]
    pipeline.run()
    return [fate(pipeline, one, tenant_id) for one in asked]


def test_tenant_may_have_any_number_at_an_endpoint_where_others_have_one(database: Database) -> None:
    pipeline = Pipeline(database, per_endpoint=1)
    tenant(database, 7, policy={"certificates_per_endpoint": "unlimited"})
    tenant(database, 8)

    assert both_at_one_endpoint(pipeline, 7) == ["applied", "applied"]
    assert both_at_one_endpoint(pipeline, 8) == ["applied", "endpoint_has_certificate"]


def test_tenant_may_have_one_at_an_endpoint_where_others_have_any_number(database: Database) -> None:
    pipeline = Pipeline(database, per_endpoint=None)
    tenant(database, 7, policy={"certificates_per_endpoint": 1})
    tenant(database, 8)

    assert both_at_one_endpoint(pipeline, 7) == ["applied", "endpoint_has_certificate"]
    assert both_at_one_endpoint(pipeline, 8) == ["applied", "applied"]


def test_what_is_trusted_already_stays_when_the_policy_becomes_stricter(database: Database) -> None:
    pipeline = Pipeline(database)
    upload(pipeline, authority("CA"), ca=True)
    pipeline.run()
    tenant(database, SUPER_TENANT, "carbon.super", policy={"allow_ca": False, "certificates_per_endpoint": 1})
    other = pipeline.add("other")
    pipeline.run()

    assert fate(pipeline, other) == "applied"
    assert pipeline.trusted() == {"web", "other"}
