"""A dry run tells what an upload would come to, with the answer that the upload would get; and stores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs7, pkcs12
from sqlalchemy import func, select, update

from tests.certificates import Made, authority, ec_key, issued, rsa_key, self_signed
from tests.integration.conftest import Maker
from tests.integration.test_api_doors import assert_problem
from tests.integration.test_certificate_life import SHOP, add_api, rotate, token_of
from tests.publisher import working
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, served
from trustcast.storage.tables import environment, metadata

ROOT = authority("Example Root")
WAIT = {"Prefer": "wait=10"}
PASSWORD = "a password"
SHARED = issued(ROOT, "shared.example")

Fields = dict[str, Any]


@pytest.fixture
def api(database_url: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[ServedApi]:
    """An api on a database of each kind where `web` is trusted, one certificate for each endpoint."""
    add_environment(database_url, "other")
    with served(tmp_path, database_url, redis_server.url) as running:
        running.pipeline.per_endpoint = 1
        running.upload("web", self_signed("web.example"))
        running.work()
        yield running


def rows(api: ServedApi) -> dict[str, int]:
    with api.database.reading() as transaction:
        return {
            table.name: transaction.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


@contextmanager
def storing_nothing(api: ServedApi) -> Iterator[None]:
    """What was owed to the broker before may be sent meanwhile."""
    before = rows(api)
    owed = before.pop("outbox")
    yield
    after = rows(api)
    assert after.pop("outbox") <= owed
    assert after == before


def send(api: ServedApi, fields: Fields, *, dry: bool, as_: str = ADMIN, **headers: str) -> httpx.Response:
    files = {name: ("file" if isinstance(value, bytes) else None, value) for name, value in fields.items()}
    path = "/v1/certificates?dry_run=true" if dry else "/v1/certificates"
    return api.ask("POST", path, files=files, headers=headers, as_=as_)


def new(alias: str = "new", made: Made | None = None, **fields: Any) -> Fields:
    host = f"{alias.lower()}.example"
    return {"alias": alias, "endpoint": f"https://{host}", "certificate": (made or self_signed(host)).pem} | fields


def trust_only(**entries: Made) -> bytes:
    named = [pkcs12.PKCS12Certificate(made.certificate, alias.encode()) for alias, made in entries.items()]
    return pkcs12.serialize_java_truststore(named, BestAvailableEncryption(PASSWORD.encode()))


# What would be granted


def test_verdict_describes_the_certificate_as_it_would_be_trusted(api: ServedApi) -> None:
    leaf = issued(ROOT, "new.example", days=10)
    sent = new(certificate=ROOT.pem + leaf.pem)

    with storing_nothing(api):
        answer = send(api, sent, dry=True)

    told = answer.json()
    assert (answer.status_code, told.pop("verdict"), told.pop("activate_at")) == (200, "accepted", None)
    send(api, sent, dry=False)
    api.work()
    trusted = api.ask("GET", "/v1/certificates/new").json()
    assert told == {name: value for name, value in trusted.items() if name not in {"operation", "rotates"}}
    assert "expires_soon" in {one["code"] for one in told["warnings"]}


def test_environments_are_those_where_it_would_go(api: ServedApi) -> None:
    production = {"kind": "single", "urls": ["https://new.example"]}
    add_api(api, **SHOP | {"endpoints": {"production": production, "sandbox": None}})

    with storing_nothing(api):
        told = send(api, new(), dry=True).json()

    assert told["environments"] == ["default"]


def test_environments_count_the_names_inside_as_well(api: ServedApi) -> None:
    endpoints = {
        "production": {"kind": "single", "urls": ["https://new.example"]},
        "sandbox": {"kind": "single", "urls": ["https://try.new.example"]},
    }
    add_api(api, **SHOP | {"endpoints": endpoints})

    told = send(api, new(made=self_signed("new.example", sans=["new.example", "*.new.example"])), dry=True).json()

    assert told["environments"] == ["default", "other"]


def test_verdict_of_pkcs7_names_what_would_be_kept(api: ServedApi) -> None:
    leaf = issued(ROOT, "new.example")
    bundle = x509_bundle(leaf, ROOT)

    with storing_nothing(api):
        told = send(api, new(certificate=bundle), dry=True).json()

    assert told["fingerprint_sha256"] == leaf.fingerprint_sha256
    assert [one["fingerprint_sha256"] for one in told["chain"]] == [ROOT.fingerprint_sha256]


def x509_bundle(*made: Made) -> bytes:
    return pkcs7.serialize_certificates([one.certificate for one in made], Encoding.PEM)


def test_key_of_another_certificate_is_warned_of(api: ServedApi) -> None:
    key = ec_key()
    api.upload("first", self_signed("first.example", key=key))
    api.work()

    dry, real = both(api, new(made=self_signed("new.example", key=key)))

    told = [[one["code"] for one in answer.json()["warnings"]] for answer in (dry, real)]
    assert told == [["key_reused"], ["key_reused"]]


def test_certificate_that_no_environment_takes_is_warned_of(api: ServedApi) -> None:
    sandbox = {"kind": "single", "urls": ["https://new.example"]}
    add_api(api, **SHOP | {"endpoints": {"production": None, "sandbox": sandbox}})
    with api.database.writing() as transaction:
        transaction.execute(update(environment).values(type="production"))
        transaction.commit()

    dry, real = both(api, new())

    assert (dry.json()["environments"], real.json()["generations"]) == ([], {})
    assert dry.json()["warnings"] == real.json()["warnings"]
    assert [one["code"] for one in dry.json()["warnings"]] == ["no_environment"]


def test_certificate_for_later_is_judged_as_of_then(api: ServedApi) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()

    with storing_nothing(api):
        dry = send(api, new(activate_at=later), dry=True)
        too_late = send(api, new(made=self_signed("new.example", days=1), activate_at=later), dry=True)

    assert dry.json()["activate_at"][:19] == later[:19]
    assert [one["code"] for one in dry.json()["warnings"]] == ["activates_later"]
    assert_problem(too_late, 400, "certificate_expired")


def test_idempotency_key_says_nothing(api: ServedApi) -> None:
    key = {"Idempotency-Key": "once"}

    with storing_nothing(api):
        answers = [send(api, fields, dry=True, **key) for fields in (new(), new("another"))]

    assert [one.status_code for one in answers] == [200, 200]
    assert send(api, new(), dry=False, **key).status_code == 202


# What would be refused

BAD: dict[str, Fields] = {
    "expired": new(made=self_signed("new.example", days=0.01)),
    "key too short": new(made=self_signed("new.example", key=rsa_key(1024))),
    "a CA": new(made=ROOT),
    "not yet valid": new(made=self_signed("new.example", not_before=datetime.now(UTC) + timedelta(days=3))),
    "alias taken": new("WEB", endpoint="https://other.example"),
    "endpoint taken": new(endpoint="https://web.example:443/path"),
    "no certificate": new(certificate=b"zebra"),
    "three fields": new("-", endpoint="https://new.example", certificate=b"zebra", ca="perhaps"),
    "nothing else": {"alias": "new"},
    "unknown field": new(zebra="1"),
    "private key": new(certificate=self_signed("new.example").key_pem),
    "private key in the alias": new() | {"alias": self_signed("new.example").key_pem.decode()},
    "two chains": new(certificate=self_signed("new.example").pem + ROOT.pem),
    "password": new(password="changeit"),
    "no zone": new(activate_at="2027-01-31T06:00:00"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusal_is_the_one_that_the_upload_would_get(api: ServedApi, case: str) -> None:
    with storing_nothing(api):
        dry = send(api, BAD[case], dry=True)
        again = send(api, BAD[case], dry=True)

    with working(api):
        real = send(api, BAD[case], dry=False, **WAIT)
    assert real.status_code >= 400
    assert (dry.status_code, dry.json()) == (real.status_code, without_operation(real))
    assert again.json() == dry.json()
    assert dry.headers["content-type"] == "application/problem+json"


def without_operation(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "operation"}


def test_same_certificate_under_another_alias_would_be_refused(api: ServedApi) -> None:
    api.upload("one", SHARED)
    api.work()

    with storing_nothing(api):
        dry = send(api, new("two", SHARED), dry=True)

    assert_problem(dry, 409, "certificate_exists")


def test_endpoint_of_unsupported_apis_would_be_refused(api: ServedApi) -> None:
    socket = {"kind": "single", "urls": ["https://new.example"]}
    add_api(api, **SHOP | {"type": "WS", "endpoints": {"production": socket, "sandbox": None}})

    with storing_nothing(api):
        dry = send(api, new(), dry=True)

    assert_problem(dry, 409, "endpoint_type_unsupported")


def test_token_for_other_aliases_is_told_so(api: ServedApi) -> None:
    bound = token_of(api, "apim:ep_certificates_add", alias_prefixes=["shop-"])

    with storing_nothing(api):
        dry = send(api, new(), dry=True, as_=bound)

    assert_problem(dry, 403, "alias_not_allowed")


def test_dry_run_is_for_those_who_may_add(api: ServedApi) -> None:
    reader = token_of(api, "apim:ep_certificates_view")

    assert_problem(send(api, new(), dry=True, as_=reader), 403, "forbidden")
    assert_problem(send(api, new(), dry=True, as_="nobody"), 401, "unauthenticated")


def test_dry_run_is_true_or_false(api: ServedApi) -> None:
    answer = api.ask("POST", "/v1/certificates?dry_run=perhaps", data={"alias": "x"}, files={"certificate": b"x"})

    body = assert_problem(answer, 400, "invalid_request")
    assert body["errors"][0]["field"] == "dry_run"


def test_only_uploads_can_be_tried(api: ServedApi) -> None:
    for method, path in (("PUT", "/v1/certificates/web"), ("POST", "/v1/certificates/web/rotation")):
        answer = api.ask(method, f"{path}?dry_run=true", files={"certificate": self_signed("web.example").pem})
        assert_problem(answer, 400, "parameter_unknown")


def test_other_refusals_stay_on_record_whatever_the_query_says(api: ServedApi) -> None:
    before = rows(api)["audit_event"]

    api.ask("PUT", "/v1/certificates/web?dry_run=true", files={"certificate": self_signed("web.example").key_pem})
    api.ask("PUT", "/v1/certificates/web", files={"certificate": self_signed("web.example").key_pem})

    assert rows(api)["audit_event"] > before


# What is on its way


def both(api: ServedApi, sent: Fields) -> tuple[httpx.Response, httpx.Response]:
    """The dry run and the upload, while something is on its way."""
    with storing_nothing(api):
        dry = send(api, sent, dry=True)
    with working(api):
        real = send(api, sent, dry=False, **WAIT)
    return dry, real


def test_what_is_on_its_way_comes_first(api: ServedApi) -> None:
    send(api, new(), dry=False)

    dry, real = both(api, new(endpoint="https://elsewhere.example"))

    assert (dry.status_code, dry.json()) == (real.status_code, without_operation(real))
    assert dry.json()["code"] == "alias_exists"


def test_what_is_on_its_way_and_will_be_refused_stands_in_nobodys_way(api: ServedApi) -> None:
    send(api, new(made=self_signed("new.example", days=0.01)), dry=False)

    dry, real = both(api, new())

    assert (dry.status_code, real.status_code) == (200, 201)


def test_conflict_on_its_way_stands_in_nobodys_way(api: ServedApi) -> None:
    """The second is refused because of the first, which has nothing to do with the third."""
    send(api, new("one", SHARED), dry=False)
    send(api, new("two", SHARED, endpoint="https://new.example"), dry=False)

    dry, real = both(api, new())

    assert (dry.status_code, real.status_code) == (200, 201)


def test_delete_on_its_way_frees_the_endpoint(api: ServedApi) -> None:
    api.ask("DELETE", "/v1/certificates/web")

    dry, real = both(api, new(endpoint="https://web.example"))

    assert (dry.status_code, real.status_code) == (200, 201)


def test_replacement_on_its_way_takes_its_certificate(api: ServedApi) -> None:
    api.ask("PUT", "/v1/certificates/web", files={"certificate": SHARED.pem})

    dry, real = both(api, new(made=SHARED))

    assert (dry.json()["code"], without_operation(real)["code"]) == ("certificate_exists", "certificate_exists")


def test_next_one_of_a_rotation_does_not_count_at_the_endpoint(api: ServedApi) -> None:
    rotate(api, "web", self_signed("web.example"))

    dry, real = both(api, new("web.next", endpoint="https://elsewhere.example"))

    assert (dry.json()["code"], without_operation(real)["code"]) == ("alias_exists", "alias_exists")


def test_tenants_own_policy_is_what_it_is_judged_by(api: ServedApi) -> None:
    fields = {"domain": "carbon.super", "policy": {"allow_ca": False}}
    assert api.ask("PUT", "/v1/tenants/-1234", json=fields).status_code == 200

    dry, real = both(api, new(made=ROOT, ca="true"))

    assert (dry.json()["code"], without_operation(real)["code"]) == ("ca_forbidden", "ca_forbidden")


def test_number_of_certificates_for_an_endpoint_is_the_tenants_own(api: ServedApi) -> None:
    fields = {"domain": "carbon.super", "policy": {"certificates_per_endpoint": 2}}
    assert api.ask("PUT", "/v1/tenants/-1234", json=fields).status_code == 200

    dry, real = both(api, new(endpoint="https://web.example"))

    assert (dry.status_code, real.status_code) == (200, 201)


def test_key_of_what_is_on_its_way_to_the_endpoint_is_warned_of(api: ServedApi) -> None:
    fields = {"domain": "carbon.super", "policy": {"certificates_per_endpoint": 3}}
    assert api.ask("PUT", "/v1/tenants/-1234", json=fields).status_code == 200
    key = ec_key()
    send(api, new("first", self_signed("web.example", key=key), endpoint="https://web.example"), dry=False)

    dry, real = both(api, new("new", self_signed("web.example", key=key), endpoint="https://web.example"))

    told = [[one["code"] for one in answer.json()["warnings"]] for answer in (dry, real)]
    assert told == [["key_reused"], ["key_reused"]]


def test_installations_number_of_certificates_is_known_to_the_api(maker: Maker, tmp_path: Path) -> None:
    url = maker.sqlite_files.fresh(tmp_path)
    add_environment(url, "other")
    with served(tmp_path, url, maker.redis_url, {"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": "2"}) as api:
        for alias in ("one", "two"):
            assert send(api, new(alias, endpoint="https://web.example"), dry=True).status_code == 200
            send(api, new(alias, endpoint="https://web.example"), dry=False)
            api.work()

        answer = send(api, new("three", endpoint="https://web.example"), dry=True)

    assert_problem(answer, 409, "endpoint_has_certificate")


# Key stores


def verdicts(answer: httpx.Response) -> Sequence[tuple[str | None, str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(one["alias"], one["verdict"], one.get("code")) for one in answer.json()["verdicts"]]


def test_one_more_than_may_wait_would_be_refused(maker: Maker, tmp_path: Path) -> None:
    url, later = maker.sqlite_files.fresh(tmp_path), (datetime.now(UTC) + timedelta(days=1)).isoformat()
    add_environment(url, "other")
    with served(tmp_path, url, maker.redis_url, {"TRUSTCAST_SCHEDULED_PER_TENANT": "1"}) as api:
        first = send(api, new("one", activate_at=later), dry=False)
        dry, real = (send(api, new("two", activate_at=later), dry=dry) for dry in (True, False))
        store = {"certificate": trust_only(a=SHARED), "password": PASSWORD, "activate_at": later}
        verdict = send(api, store, dry=True).json()["verdicts"][0]
        batch = send(api, store, dry=False).json()

    assert first.status_code == 202
    for answer in (dry, real):
        assert_problem(answer, 429, "too_many_scheduled")
    assert (verdict["code"], batch["problems"][0]["code"]) == ("too_many_scheduled", "too_many_scheduled")


def test_each_entry_of_a_key_store_has_its_verdict(api: ServedApi) -> None:
    good = self_signed("good.example")
    store = trust_only(
        good=good,
        old=self_signed("old.example", days=0.01),
        web=self_signed("another.example"),
        ca=authority("No Host"),
    )

    with storing_nothing(api):
        answer = send(api, {"certificate": store, "password": PASSWORD}, dry=True)

    assert verdicts(answer) == [
        ("good", "accepted", None),
        ("old", "refused", "certificate_expired"),
        ("web", "refused", "alias_exists"),
        ("ca", "refused", "endpoint_missing"),
    ]
    assert answer.json()["verdicts"][0]["fingerprint_sha256"] == good.fingerprint_sha256


def test_entry_without_a_name_is_refused_and_the_others_have_their_verdicts(api: ServedApi) -> None:
    unnamed = pkcs12.PKCS12Certificate(self_signed("unnamed.example").certificate, None)
    named = pkcs12.PKCS12Certificate(self_signed("good.example").certificate, b"good")
    store = pkcs12.serialize_java_truststore([unnamed, named], BestAvailableEncryption(PASSWORD.encode()))

    with storing_nothing(api):
        answer = send(api, {"certificate": store, "password": PASSWORD}, dry=True)

    assert verdicts(answer) == [(None, "refused", "keystore_entry_unnamed"), ("good", "accepted", None)]
    assert answer.json()["verdicts"][0]["field"] == "alias"


def test_entries_of_a_key_store_are_judged_one_after_another(api: ServedApi) -> None:
    store = trust_only(one=self_signed("one.example"), two=self_signed("two.example"))
    sent = {"certificate": store, "password": PASSWORD, "endpoint": "https://new.example"}

    with storing_nothing(api):
        dry = send(api, sent, dry=True)
    real = send(api, sent, dry=False)
    api.work()

    assert [code for _, _, code in verdicts(dry)] == [None, "endpoint_has_certificate"]
    told = api.ask("GET", real.headers["location"]).json()
    assert [(one["alias"], one["code"]) for one in told["problems"]] == [("two", "endpoint_has_certificate")]


def test_key_store_that_cannot_be_read_is_the_same_problem(api: ServedApi) -> None:
    made = self_signed("new.example")
    with_key = pkcs12.serialize_key_and_certificates(
        b"x", made.key, made.certificate, None, BestAvailableEncryption(b"changeit")
    )
    for sent in (
        {"certificate": trust_only(one=made), "password": "wrong one"},
        {"certificate": trust_only(one=made)},
        {"certificate": with_key, "password": "changeit"},
        {"certificate": trust_only(one=made), "password": PASSWORD, "alias": "web"},
    ):
        with storing_nothing(api):
            dry = send(api, sent, dry=True)
        real = send(api, sent, dry=False)
        assert (dry.status_code, dry.json()) == (400, real.json())
