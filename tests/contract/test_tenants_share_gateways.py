"""Tenants have their own aliases, endpoints and certificates, and gateways keep them apart by name."""

from __future__ import annotations

import pytest

from tests.certificates import authority, issued, self_signed
from tests.contract.test_apply_changes import fates
from tests.contract.test_replace import hold_back
from tests.pipeline import Pipeline
from trustcast.domain.errors import Conflict, NotFound
from trustcast.storage import certificates, presence
from trustcast.storage.session import Database
from trustcast_api.content import Form, content, pem


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def states(pipeline: Pipeline, tenant_id: int, ids: list[str]) -> list[str]:
    found = [pipeline.operation(one, tenant_id) for one in ids]
    return [one.problem["code"] if one.problem else one.state.value for one in found]


def test_one_alias_of_two_tenants_is_two_entries(pipeline: Pipeline) -> None:
    ours, theirs = self_signed("web.example"), self_signed("web.example")
    seven = pipeline.tenant(7)

    pipeline.add("Web", made=ours)
    pipeline.add("Web", made=theirs, who=seven)
    pipeline.run()

    assert pipeline.entries() == {"web": ours.fingerprint_sha256, "web_7": theirs.fingerprint_sha256}
    assert pipeline.status().generation == 1
    pipeline.assert_sound()


def test_same_certificate_may_be_two_tenants(pipeline: Pipeline) -> None:
    made, seven = self_signed("web.example"), pipeline.tenant(7)

    pipeline.add("web", made=made)
    pipeline.add("web", made=made, who=seven)
    pipeline.run()

    assert pipeline.entries() == dict.fromkeys(("web", "web_7"), made.fingerprint_sha256)


def test_tenant_changes_its_own_and_nothing_else(pipeline: Pipeline) -> None:
    seven, eight = pipeline.tenant(7), pipeline.tenant(8)
    pipeline.add("web")
    pipeline.add("web", who=seven)
    pipeline.run()
    before = pipeline.entries()

    replace = pipeline.replace("web", self_signed("web.example"), who=seven)
    with pytest.raises(NotFound):
        pipeline.delete("web", who=eight)
    pipeline.run()
    assert states(pipeline, 7, [replace]) == ["applied"]
    assert pipeline.entries()["web"] == before["web"]
    assert pipeline.entries()["web_7"] != before["web_7"]

    pipeline.delete("web", who=seven)
    pipeline.run()
    assert pipeline.entries() == {"web": before["web"]}
    pipeline.assert_sound()


def test_tenants_apis_route_its_own_certificates_only(pipeline: Pipeline) -> None:
    seven = pipeline.tenant(7)
    pipeline.environment("try", "sandbox")
    pipeline.api("Theirs", production="https://web.example", who=seven)
    pipeline.add("web")
    pipeline.add("web", who=seven)
    pipeline.run()

    assert pipeline.trusted() == {"web", "web_7"}
    assert pipeline.trusted("try") == {"web"}
    pipeline.assert_sound()


def test_one_tenants_slow_request_holds_up_nobody_else(pipeline: Pipeline) -> None:
    seven = pipeline.tenant(7)
    ids = [pipeline.add("web", who=seven), pipeline.delete("web", who=seven)]
    pipeline.validate()
    mine = pipeline.add("web")
    pipeline.run()

    assert fates(pipeline, [mine]) == ["applied"]
    assert states(pipeline, 7, ids) == ["applied", "applied"]
    assert pipeline.entries().keys() == {"web"}


def test_super_tenant_takes_no_alias_that_is_another_tenants_on_gateways(pipeline: Pipeline) -> None:
    pipeline.tenant(7)

    ids = [pipeline.add("web_7"), pipeline.add("web_8")]
    pipeline.run()

    assert fates(pipeline, ids) == ["alias_reserved", "applied"]
    assert pipeline.trusted() == {"web_8"}


def test_no_tenant_takes_an_id_that_an_alias_ends_in(pipeline: Pipeline) -> None:
    pipeline.add("web_8")
    with pytest.raises(Conflict) as awaited:
        pipeline.tenant(8)
    pipeline.run()
    with pytest.raises(Conflict) as held:
        pipeline.tenant(8)

    assert awaited.value.code == held.value.code == "tenant_id_taken_by_alias"


def test_other_tenants_may_end_their_aliases_as_they_like(pipeline: Pipeline) -> None:
    seven = pipeline.tenant(7)
    pipeline.tenant(8)

    pipeline.add("web", who=seven)
    pipeline.add("web_8", who=seven)
    pipeline.run()

    assert pipeline.trusted() == {"web_7", "web_8_7"}
    pipeline.assert_sound()


def test_chain_holds_nothing_of_another_tenant(pipeline: Pipeline) -> None:
    ca = authority()
    web = issued(ca, "web.example")
    pipeline.add("web", made=web)
    pipeline.add("ca", made=ca, ca=True, who=pipeline.tenant(7))
    pipeline.run()

    chain = content(pipeline.database, -1234, "web", Form.CHAIN).data
    pipeline.add("ca", made=ca, ca=True)
    pipeline.run()

    assert chain == pem(web.der)
    assert content(pipeline.database, -1234, "web", Form.CHAIN).data == pem(web.der) + pem(ca.der)


def test_same_certificate_of_another_tenant_changes_nothing_about_who_has_ours(pipeline: Pipeline) -> None:
    made = self_signed("web.example")
    pipeline.enrol("g1")
    pipeline.add("web", made=made)
    pipeline.run()
    pipeline.report("g1", 1)
    pipeline.add("web", made=made, who=pipeline.tenant(7))
    pipeline.run()

    with pipeline.database.reading() as transaction:
        having = [presence.of_certificate(transaction, certificates.get(transaction, of, "web")) for of in (-1234, 7)]
    assert [[one.has_it for one in found] for found in having] == [[True], [False]]


def test_nobody_waits_for_another_tenants_verdict(pipeline: Pipeline) -> None:
    pipeline.add("web", who=pipeline.tenant(7))
    pipeline.run()
    theirs = pipeline.delete("web", force=True, who=pipeline.tenant(7))
    hold_back(pipeline)

    ours = pipeline.add("web")
    pipeline.run()

    assert states(pipeline, -1234, [ours]) == ["applied"]
    assert states(pipeline, 7, [theirs]) == ["received"]
