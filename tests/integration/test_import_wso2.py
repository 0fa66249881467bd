"""`trustcast import wso2`: installations of several versions come over, once; what cannot come is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests import wso2
from tests.certificates import Made, authority, rsa_key, self_signed
from tests.command_line import Done, trustcast
from tests.command_line import Trustcast as Command
from tests.databases import PostgresServer
from tests.publisher import working
from tests.served_api import ServedApi
from tests.wso2 import SUPER, stored
from trustcast.storage import tables
from trustcast_cli.wso2 import database, matching
from trustcast_cli.wso2.candidates import Candidate, Judge
from trustcast_cli.wso2.report import Outcome
from trustcast_cli.wso2.sending import Trustcast
from trustcast_cli.wso2.truststore import GatewayTruststore

__all__ = ["trustcast"]

NAMES = ("Orders", "payments", "tenant", "shared", "sandbox", "database", "differs", "my cert", "plain", "weak")
MADE = {name: self_signed(f"{name.replace(' ', '-').lower()}.example") for name in NAMES}
MADE |= {
    "weak": self_signed("weak.example", key=rsa_key(1024)),
    "expired": self_signed("expired.example", not_before=datetime(2020, 1, 1, tzinfo=UTC)),
    "ca": authority("Company CA"),
    "public": authority("Public CA"),
    "newer": self_signed("differs.example"),
}

XML = """<APIManager><APIGateway><Environments>
    <Environment type="hybrid"><Name>Production and Sandbox</Name></Environment>
    <Environment type="sandbox"><Name>other</Name></Environment>
</Environments></APIGateway></APIManager>"""


def row(name: str, *, tenant_id: int = SUPER, endpoint: str | None = None, made: Made | None = None) -> wso2.Row:
    host = f"https://{name.replace(' ', '-').lower()}.example/v1"
    return tenant_id, name, endpoint or host, stored((made or MADE[name]).pem) if made or name in MADE else None


ROWS: list[wso2.Row] = [
    row("Orders"),
    row("payments"),
    row("tenant", tenant_id=3),
    row("expired"),
    row("ca"),
    row("differs", made=MADE["newer"]),
    row("my cert"),
    row("plain", endpoint="http://plain.example"),
    row("weak"),
    row("gone"),
]
# As on a gateway: in lower case, other tenants' with their id behind.
ENTRIES = {
    "orders": MADE["Orders"].der,
    "payments": MADE["payments"].der,
    "tenant_3": MADE["tenant"].der,
    "expired": MADE["expired"].der,
    "ca": MADE["ca"].der,
    "differs": MADE["differs"].der,
    "my cert": MADE["my cert"].der,
    "plain": MADE["plain"].der,
    "weak": MADE["weak"].der,
    "publicca": MADE["public"].der,
}


@dataclass(frozen=True)
class Theirs:
    """An installation to come from, and a Trustcast with a worker to come to."""

    api: ServedApi
    url: str
    folder: Path
    trustcast: Command

    def truststore(self, entries: dict[str, bytes] | None = None, *, by_keytool: bool = False) -> Path:
        path = self.folder / "client-truststore.jks"
        return wso2.truststore(path, ENTRIES if entries is None else entries, by_keytool=by_keytool)

    def bring(self, *options: str | Path, source: tuple[str, str] | None = None) -> tuple[Done, dict[str, Any]]:
        """Run the command; return how it ended and the report."""
        report = self.folder / "report.json"
        done = self.trustcast(
            "import",
            "wso2",
            *(source or ("--database-url", self.url)),
            *("--truststore", str(self.folder / "client-truststore.jks")),
            *("--truststore-password-file", str(wso2.password_file(self.folder))),
            *("--report", str(report)),
            *map(str, options),
            api_url=self.api.url,
            token_file=str(self.api.folder / "admin.token"),
        )
        return done, json.loads(report.read_text(encoding="utf-8"))

    def state(self) -> dict[str, int]:
        """How many rows the tables have that an import writes."""
        with self.api.database.reading() as transaction:
            counted = {
                name: transaction.execute(select(func.count()).select_from(tables.metadata.tables[name])).scalar_one()
                for name in ("AM_CERTIFICATE_METADATA", "operation", "environment", "tenant", "audit_event")
            }
            generation = select(func.sum(tables.truststore.c.generation))
            return counted | {"generation": transaction.execute(generation).scalar_one()}


@pytest.fixture
def theirs(
    fresh_api: ServedApi, request: pytest.FixtureRequest, tmp_path: Path, trustcast: Command
) -> Iterator[Theirs]:
    """Both sides on the same kind of database."""
    folder = tmp_path / "wso2"
    folder.mkdir()
    with working(fresh_api) as api:
        if api.database.is_sqlite:
            yield Theirs(api, f"sqlite:///{folder / 'am.db'}", folder, trustcast)
        else:
            postgres: PostgresServer = request.getfixturevalue("postgres")
            url = postgres.empty()
            yield Theirs(api, url, folder, trustcast)
            postgres.drop(url)


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    """Alias -> outcome, and codes where something stands in the way."""
    return {
        line["alias"]: " ".join([line["outcome"], *(problem["code"] for problem in line["problems"])])
        for line in report["certificates"]
    }


def warnings(report: dict[str, Any], alias: str) -> list[str]:
    line = next(line for line in report["certificates"] if line["alias"] == alias)
    return [warning["code"] for warning in line["warnings"]]


EXPECTED = {
    "Orders": "imported",
    "payments": "imported",
    "tenant": "imported",
    "expired": "refused certificate_expired",
    "ca": "imported",
    "differs": "imported",
    "my cert": "unusable alias_invalid",
    "plain": "not_needed",
    "weak": "refused key_size",
    "gone": "missing certificate_missing",
}


@pytest.mark.parametrize("layout", wso2.LAYOUTS)
def test_an_installation_comes_over_once(theirs: Theirs, layout: str) -> None:
    wso2.build(theirs.url, layout, ROWS, tenants={3: "three.example"})
    before = wso2.content(theirs.url)
    theirs.truststore(by_keytool=True)
    xml = theirs.folder / "api-manager.xml"
    xml.write_text(XML)

    done, report = theirs.bring("--api-manager", xml)

    assert done.status == 3
    assert outcomes(report) == EXPECTED
    trusted = {alias: hashlib.sha256(ENTRIES[alias]).hexdigest() for alias in ("orders", "payments", "ca", "differs")}
    trusted["tenant_3"] = MADE["tenant"].fingerprint_sha256
    assert theirs.api.pipeline.entries("Production and Sandbox") == trusted
    assert report["truststore_only"] == ["publicca"]
    assert [(one["name"], one["outcome"]) for one in report["environments"]] == [
        ("Production and Sandbox", "imported"),
        ("other", "present"),
    ]
    assert report["tenants"] == [{"id": 3, "domain": "three.example", "outcome": "imported", "problem": None}]
    assert ("certificate_differs" in warnings(report, "differs")) == (layout == "4.x")
    assert "ca_without_name_constraints" in warnings(report, "ca")
    assert wso2.content(theirs.url) == before

    state = theirs.state()
    done, report = theirs.bring("--api-manager", xml)

    assert done.status == 3
    assert outcomes(report) == {alias: one.replace("imported", "present") for alias, one in EXPECTED.items()}
    assert theirs.state() == state


def test_a_dry_run_says_the_same_and_writes_nothing(theirs: Theirs) -> None:
    wso2.build(theirs.url, "4.x", ROWS)
    theirs.truststore()
    before = theirs.state()

    done, report = theirs.bring("--dry-run")

    assert (done.status, report["dry_run"]) == (3, True)
    assert outcomes(report) == EXPECTED
    assert report["tenants"] == [{"id": 3, "domain": "tenant-3", "outcome": "imported", "problem": None}]
    assert "nothing was written" in done.stderr
    assert theirs.state() == before


def test_with_the_options_that_the_report_names_everything_comes_over(theirs: Theirs) -> None:
    wso2.build(theirs.url, "2.6", [row for row in ROWS if row[1] not in {"weak", "gone"}])
    theirs.truststore()

    options = ("--accept-expired", "--rename", "my cert=My-Cert", "--tenant", "3=Three.Example")
    done, report = theirs.bring(*options)

    assert done.status == 0
    assert set(outcomes(report).values()) == {"imported", "not_needed"}
    assert "expired" in warnings(report, "expired")
    assert {"expired", "my-cert", "tenant_3"} <= theirs.api.pipeline.entries("default").keys()
    assert report["tenants"][0]["domain"] == "three.example"
    done, report = theirs.bring(*options)
    assert (done.status, set(outcomes(report).values())) == (0, {"present", "not_needed"})


def test_an_export_serves_as_well_as_the_database(theirs: Theirs) -> None:
    theirs.truststore({"orders": MADE["Orders"].der})
    export = theirs.folder / "export.csv"
    export.write_text(wso2.as_csv(wso2.HEADER[:3], [ROWS[0][:3]], delimiter=";"), encoding="utf-8-sig")

    done, report = theirs.bring(source=("--csv", str(export)))

    assert (done.status, outcomes(report)) == (0, {"Orders": "imported"})


def test_what_only_the_database_holds_comes_over_with_a_warning(theirs: Theirs) -> None:
    wso2.build(theirs.url, "4.x", [row("database")])
    theirs.truststore({})

    done, report = theirs.bring()

    assert (done.status, outcomes(report)) == (0, {"database": "imported"})
    assert "not_in_truststore" in warnings(report, "database")


def test_another_certificate_under_the_alias_is_never_replaced(theirs: Theirs) -> None:
    wso2.build(theirs.url, "3.1", [row("Orders")])
    theirs.truststore()
    there = self_signed("orders.example")
    theirs.api.upload("orders", there, headers={"Prefer": "wait=10"})

    done, report = theirs.bring()

    assert (done.status, outcomes(report)) == (3, {"Orders": "conflict alias_exists"})
    assert theirs.api.pipeline.entries("default") == {"orders": there.fingerprint_sha256}


def test_a_second_certificate_for_an_endpoint_names_the_setting(theirs: Theirs) -> None:
    """The one that lasts longest comes over; when the setting is changed, the same run brings the other."""
    longer, shorter = self_signed("shared.example", days=80), self_signed("shared.example", days=40)
    endpoint = "https://shared.example"
    wso2.build(theirs.url, "2.6", [(SUPER, "old", endpoint, None), (SUPER, "new", endpoint, None)])
    theirs.truststore({"old": shorter.der, "new": longer.der})
    theirs.api.pipeline.per_endpoint = 1

    done, report = theirs.bring()

    assert outcomes(report) == {"old": "conflict endpoint_has_certificate", "new": "imported"}
    assert "TRUSTCAST_CERTIFICATES_PER_ENDPOINT=2 (or unlimited)" in done.stdout
    (problem,) = next(one["problems"] for one in report["certificates"] if one["alias"] == "old")
    assert problem["detail"] == "The endpoint already has a certificate, under the alias new."
    theirs.api.pipeline.per_endpoint = None
    done, report = theirs.bring()
    assert (done.status, outcomes(report)) == (0, {"old": "imported", "new": "present"})


def test_many_certificates_come_over_several_at_a_time(theirs: Theirs) -> None:
    made = [self_signed(f"many-{number}.example") for number in range(40)]
    names = [f"Many-{number}" for number in range(40)]
    wso2.build(theirs.url, "3.1", [(SUPER, name, f"https://{name}.example", None) for name in names])
    theirs.truststore({name.lower(): one.der for name, one in zip(names, made, strict=True)})

    done, report = theirs.bring()

    assert (done.status, report["counts"]["imported"]) == (0, 40)
    assert theirs.state()["generation"] < 40
    assert len(theirs.api.pipeline.entries("default")) == 40


def test_what_stands_in_the_way_is_one_sentence_and_status_1(theirs: Theirs) -> None:
    wso2.build(theirs.url, "2.6", [row("Orders")])
    theirs.truststore()
    (theirs.folder / "report.json").write_text("{}")
    cases = {
        ("--csv", "export.csv"): "Give either --database-url (or --database-url-file) or --csv.",
        ("--database-url-file", "url"): "Give --database-url or --database-url-file, not both.",
        ("--tenant", "three.example"): "--tenant takes ID=DOMAIN",
        ("--rename", "nobody=x"): "there is no row with the alias 'nobody'",
        ("--api-manager", "nowhere.xml"): "nowhere.xml cannot be read",
        ("--token-file", str(theirs.api.folder / "gateways.json")): "one word of ASCII characters",
        ("--api-url", "http://127.0.0.1:9"): "does not answer",
    }

    said = {options: theirs.bring(*options)[0] for options in cases}

    assert {options: done.status for options, done in said.items()} == dict.fromkeys(cases, 1)
    assert [(cases[options], done.stderr) for options, done in said.items() if cases[options] not in done.stderr] == []
    assert theirs.state()["operation"] == 0


def test_what_is_another_tenants_on_gateways_is_said(theirs: Theirs) -> None:
    """The super tenant's `orders_3` and tenant 3's `orders` would be one entry on gateways."""
    theirs.api.upload("taken_4", self_signed("taken.example"), headers={"Prefer": "wait=10"})
    wso2.build(
        theirs.url,
        "3.1",
        [row("Orders_3", made=MADE["Orders"]), row("tenant", tenant_id=3), row("shared", tenant_id=4)],
    )
    theirs.truststore({"orders_3": MADE["Orders"].der, "tenant_3": MADE["tenant"].der, "shared_4": MADE["shared"].der})

    done, report = theirs.bring()

    assert outcomes(report) == {
        "Orders_3": "unusable alias_reserved",
        "tenant": "imported",
        "shared": "refused tenant_id_taken_by_alias",
    }
    assert [(one["id"], one["outcome"]) for one in report["tenants"]] == [(3, "imported"), (4, "refused")]
    assert "Add --rename 'Orders_3=Orders_3-super'." in done.stdout


def of_others(name: str, tenant_id: int, host: str) -> wso2.Row:
    return tenant_id, name, f"https://{host}.example", stored(OF_OTHERS[host].pem)


OF_OTHERS = {host: self_signed(f"{host}.example") for host in ("super", "five", "seven", "eight")}


def test_nobodys_certificate_is_taken_for_anothers(theirs: Theirs) -> None:
    """Names on gateways that mean two rows, and a plain alias under which a CA of the JVM stands."""
    rows = [
        of_others("web", 5, "five"),
        of_others("Web_5", SUPER, "super"),
        of_others("web_5", 7, "seven"),
        of_others("digicert", 8, "eight"),
    ]
    wso2.build(theirs.url, "4.x", rows)
    theirs.truststore({"web_5": OF_OTHERS["five"].der, "digicert": MADE["public"].der})

    done, report = theirs.bring("--rename", "Web_5=web-super")

    assert done.status == 0
    assert theirs.api.pipeline.entries("default") == {
        "web_5": OF_OTHERS["five"].fingerprint_sha256,
        "web-super": OF_OTHERS["super"].fingerprint_sha256,
        "web_5_7": OF_OTHERS["seven"].fingerprint_sha256,
        "digicert_8": OF_OTHERS["eight"].fingerprint_sha256,
    }
    assert [line["truststore_alias"] for line in report["certificates"] if line["truststore_alias"]] == ["web_5"]
    assert report["truststore_only"] == ["digicert"]


def test_without_the_databases_certificates_what_would_be_a_guess_is_reported(theirs: Theirs) -> None:
    rows = [
        of_others("web", 5, "five"),
        of_others("Web_5", SUPER, "super"),
        of_others("web_5", 7, "seven"),
        of_others("digicert", 8, "eight"),
        of_others("plain", 8, "seven"),
    ]
    wso2.build(theirs.url, "3.1", rows)
    theirs.truststore({"web_5": OF_OTHERS["five"].der, "digicert": MADE["public"].der, "plain": OF_OTHERS["seven"].der})

    done, report = theirs.bring()

    assert done.status == 3
    assert outcomes(report) == {
        "web": "conflict alias_claimed_twice",
        "Web_5": "conflict alias_claimed_twice",
        "web_5": "missing certificate_missing",
        "digicert": "conflict plain_alias_doubtful",
        "plain": "imported",
    }
    assert "plain_alias_taken" in warnings(report, "plain")
    assert theirs.api.pipeline.entries("default") == {"plain_8": OF_OTHERS["seven"].fingerprint_sha256}


def make_tenant(theirs: Theirs, tenant_id: int, domain: str) -> None:
    body = {"domain": domain, "on_expiry": "keep"}
    assert theirs.api.ask("PUT", f"/v1/tenants/{tenant_id}", json=body).status_code == 201


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--tenant", "2=other.example")])
def test_a_tenant_that_is_another_one_here_gets_nothing(theirs: Theirs, options: tuple[str, ...]) -> None:
    """Both installations have a tenant 2: whose certificates they are is not for an import to guess."""
    make_tenant(theirs, 2, "burger.com")
    wso2.build(theirs.url, "4.x", [row("tenant", tenant_id=2), row("weak", tenant_id=2)], tenants={2: "acme.org"})
    theirs.truststore({"tenant_2": MADE["tenant"].der, "weak_2": MADE["weak"].der})
    before = theirs.state()

    done, report = theirs.bring(*options)

    conflict = "conflict tenant_differs"
    assert (done.status, outcomes(report)) == (3, {"tenant": conflict, "weak": conflict})
    assert [one["outcome"] for one in report["tenants"]] == ["conflict"]
    assert "If they are the same, say so: --tenant 2=burger.com." in done.stdout
    assert theirs.state() == before


def test_a_tenant_that_is_said_to_be_the_same_gets_its_certificates(theirs: Theirs) -> None:
    make_tenant(theirs, 2, "burger.com")
    wso2.build(theirs.url, "4.x", [row("tenant", tenant_id=2)], tenants={2: "acme.org"})
    theirs.truststore({"tenant_2": MADE["tenant"].der})

    done, report = theirs.bring("--tenant", "2=Burger.com")

    assert (done.status, outcomes(report)) == (0, {"tenant": "imported"})
    assert report["tenants"] == [{"id": 2, "domain": "burger.com", "outcome": "present", "problem": None}]


def test_a_domain_that_is_another_tenants_here_is_a_conflict(theirs: Theirs) -> None:
    make_tenant(theirs, 5, "acme.org")
    wso2.build(theirs.url, "4.x", [row("tenant", tenant_id=2)], tenants={2: "acme.org"})
    theirs.truststore({"tenant_2": MADE["tenant"].der})

    done, report = theirs.bring("--dry-run")

    assert (done.status, outcomes(report)) == (3, {"tenant": "conflict tenant_domain_taken"})


def test_an_interrupted_run_is_taken_up_again(theirs: Theirs) -> None:
    """What an earlier run asked for and did not wait for is there when this one's request is refused for it."""
    wso2.build(theirs.url, "3.1", [row("Orders")])
    theirs.truststore()
    api = Trustcast(theirs.api.client(), run="this one")
    (one,) = Judge(domains={SUPER: "carbon.super"}, renames={}, accept_expired=False, at=datetime.now(UTC)).judged(
        matching.matched(database.read(theirs.url).rows, GatewayTruststore(ENTRIES))
    )
    assert isinstance(one, Candidate)
    theirs.api.upload("orders", MADE["Orders"], headers={"Prefer": "wait=10"})

    with api.client:
        line = api.send(one)

    assert (line.outcome, line.problems) == (Outcome.PRESENT, ())
