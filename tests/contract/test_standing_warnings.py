"""What was warned of when a certificate came in is shown wherever it is, and its end as of the moment of looking."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.certificates import self_signed
from tests.pipeline import Pipeline
from trustcast.storage import gateways, truststores
from trustcast.storage.session import Database
from trustcast.storage.tables import SUPER_TENANT
from trustcast_api import rotate
from trustcast_api.describe_certificates import describe, describe_page
from trustcast_api.list_certificates import Filters, list_certificates
from trustcast_api.schemas import TruststoreBody, WarningBody
from trustcast_api.schemas_of_rotations import RotationBody


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def codes(warnings: list[WarningBody]) -> list[str]:
    return [one.code for one in warnings]


def truststore(pipeline: Pipeline, *, days: float) -> dict[str, list[str]]:
    """Alias -> codes of what is warned of, so many days from now."""
    with pipeline.database.reading() as transaction:
        body = TruststoreBody.of(
            truststores.status(transaction, "default"),
            truststores.content(transaction, "default").entries,
            gateways.in_environment(transaction, "default"),
            truststores.noted(transaction, "default"),
            at=pipeline.at + timedelta(days=days),
        )
    return {one.alias: codes(one.warnings) for one in body.entries}


def test_end_is_told_as_of_the_moment_of_looking(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("*.web.example", days=90), endpoint="https://a.web.example:443")
    pipeline.run()
    seen = [
        describe(pipeline.database, SUPER_TENANT, "web", at=pipeline.at + timedelta(days=days)) for days in (0, 70, 100)
    ]

    assert [codes(one.warnings) for one in seen] == [
        ["wildcard"],
        ["expires_soon", "wildcard"],
        ["expired", "wildcard"],
    ]


def test_list_tells_what_a_description_tells(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("web.example", days=90))
    pipeline.run()
    at = pipeline.at + timedelta(days=70)

    found, _ = list_certificates(pipeline.database, SUPER_TENANT, Filters(), limit=10, offset=0, at=at)

    (body,) = describe_page(pipeline.database, SUPER_TENANT, found, status=None, at=at)
    assert body == describe(pipeline.database, SUPER_TENANT, "web", at=at)
    assert codes(body.warnings) == ["expires_soon"]


def test_rotation_tells_it_of_both_certificates(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("web.example", days=90))
    pipeline.run()
    pipeline.rotate("web", self_signed("web.example", days=365))
    pipeline.run()

    body = RotationBody.of(rotate.describe(pipeline.database, SUPER_TENANT, "web"), at=pipeline.at + timedelta(days=70))

    assert (codes(body.current.warnings), codes(body.following.warnings)) == (["expires_soon"], [])


def test_truststore_tells_it_of_each_entry_whatever_tenant_it_belongs_to(pipeline: Pipeline) -> None:
    other = pipeline.tenant(5)
    pipeline.add("Web", made=self_signed("web.example", days=90))
    pipeline.add("web", made=self_signed("*.example.com", days=365), endpoint="https://a.example.com:443", who=other)
    pipeline.add("web_6", made=self_signed("web.example.org", days=365), endpoint="https://web.example.org:443")
    pipeline.run()

    assert truststore(pipeline, days=0) == {"web": [], "web_5": ["wildcard"], "web_6": []}
    assert truststore(pipeline, days=70) == {"web": ["expires_soon"], "web_5": ["wildcard"], "web_6": []}
    assert truststore(pipeline, days=100)["web"] == ["expired"]


def test_renewed_certificate_has_the_warnings_of_its_own(pipeline: Pipeline) -> None:
    pipeline.add("web", made=self_signed("web.example", days=20))
    pipeline.run()
    assert truststore(pipeline, days=0) == {"web": ["expires_soon"]}

    pipeline.replace("web", self_signed("web.example", days=365))
    pipeline.run()

    assert truststore(pipeline, days=0) == {"web": []}
