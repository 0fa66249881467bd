"""Which gateways have a certificate, by what they reported."""

from __future__ import annotations

import pytest

from tests.certificates import self_signed
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import Conflict
from trustcast.storage import certificates, gateways, presence
from trustcast.storage.gateways import Enrolled, Phase, Report
from trustcast.storage.session import Database
from trustcast_api.record_report import record_report


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """Two gateways in `default`, a hybrid environment; `web` is there since generation 1."""
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.enrol("g1", "g2")
    pipeline.add("web")
    pipeline.run()
    return pipeline


def having(pipeline: Pipeline, alias_key: str = "web", tenant_id: int = ADMIN.tenant_id) -> dict[str, bool]:
    with pipeline.database.reading() as transaction:
        one = certificates.get(transaction, tenant_id, alias_key)
        return {gateway.name: gateway.has_it for gateway in presence.of_certificate(transaction, one)}


def enrol_everywhere(pipeline: Pipeline) -> None:
    """Beside the two of `default` one more, in `sandboxes`."""
    where = {"g1": "default", "g2": "default", "s1": "sandboxes"}
    with pipeline.database.writing() as transaction:
        lines = [Enrolled(name, environment, name.ljust(64, "0")) for name, environment in where.items()]
        gateways.enrol(transaction, lines, at=pipeline.at)
        transaction.commit()


def test_gateway_has_it_from_the_generation_that_put_it_there(pipeline: Pipeline) -> None:
    pipeline.add("other")
    pipeline.run()
    pipeline.report("g1", 1)
    pipeline.report("g2", 2)

    assert having(pipeline) == {"g1": True, "g2": True}
    assert having(pipeline, "other") == {"g1": False, "g2": True}


def test_gateway_that_fails_may_have_lost_what_it_had(pipeline: Pipeline) -> None:
    """As one does that was built anew under its old name."""
    pipeline.report("g1", 1)
    pipeline.report("g2", 1)
    pipeline.report("g1", 0, phase=Phase.FAILED, code="truststore_unreadable")
    failing = having(pipeline)
    pipeline.report("g1", 1)

    assert failing == {"g1": False, "g2": True}
    assert having(pipeline) == {"g1": True, "g2": True}


def test_rotation_does_not_end_while_a_gateway_fails(pipeline: Pipeline) -> None:
    pipeline.rotate("web", self_signed("web.example"))
    pipeline.run()
    pipeline.report("g1", 2)
    pipeline.report("g2", 2)
    pipeline.report("g2", 2, "f" * 64)  # what is on its disk is not what was signed

    with pytest.raises(Conflict, match="the next certificate yet: g2") as refused:
        pipeline.finish("web")
    pipeline.report("g2", 2)
    pipeline.finish("web")

    assert refused.value.code == "rotation_not_converged"


def test_replaced_certificate_is_there_when_the_new_one_is(pipeline: Pipeline) -> None:
    old, new = self_signed("x.example"), self_signed("x.example")
    pipeline.add("x", made=old)
    pipeline.run()
    pipeline.report("g1", 2)
    for made in (new, old):  # the same bytes as before come back
        pipeline.replace("x", made)
        pipeline.run()

    before = having(pipeline, "x")
    pipeline.report("g1", 4)

    assert (before, having(pipeline, "x")) == ({"g1": False, "g2": False}, {"g1": True, "g2": False})


def test_another_tenants_certificate_is_found_under_its_alias_on_gateways(pipeline: Pipeline) -> None:
    tenant = pipeline.tenant(7)
    pipeline.add("web", who=tenant)
    pipeline.run()
    pipeline.report("g2", 2)

    assert having(pipeline, "web", 7) == {"g1": False, "g2": True}


def test_gateways_are_those_of_the_environments_where_it_goes(pipeline: Pipeline) -> None:
    pipeline.environment("sandboxes", "sandbox")
    enrol_everywhere(pipeline)

    everywhere = having(pipeline)
    pipeline.api("shop", production="https://web.example/v1")

    assert everywhere == {"g1": False, "g2": False, "s1": False}
    assert having(pipeline) == {"g1": False, "g2": False}


def test_environment_that_is_not_there_yet_has_it_nowhere(pipeline: Pipeline) -> None:
    """Until it has been decided anew where certificates go, the new environment's truststore is empty."""
    pipeline.report("g1", 1)
    pipeline.environment("sandboxes", "sandbox")
    enrol_everywhere(pipeline)

    assert having(pipeline) == {"g1": True, "g2": False, "s1": False}


def test_certificate_that_was_taken_out_is_nowhere_until_it_is_put_back(pipeline: Pipeline) -> None:
    """Routed away and back: no gateway there has it before the next generation."""
    pipeline.add("other")
    pipeline.environment("sandboxes", "sandbox")
    pipeline.run()
    enrol_everywhere(pipeline)
    shop = pipeline.api("shop", production="https://web.example/v1")
    pipeline.run()
    pipeline.remove_api(shop)
    report_from(pipeline, "sandboxes", "s1")

    before = having(pipeline)["s1"]
    pipeline.run()
    report_from(pipeline, "sandboxes", "s1")

    assert (before, having(pipeline)["s1"]) == (False, True)


def report_from(pipeline: Pipeline, environment: str, gateway: str) -> None:
    """Report as a gateway that is up to date."""
    now = pipeline.status(environment)
    told = Report(generation=now.generation, entries_sha256=now.entries_sha256, phase=Phase.INSTALLED)
    record_report(pipeline.database, told, gateway=gateway, environment=environment, at=pipeline.at)
