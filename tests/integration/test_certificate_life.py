"""The life of a certificate over HTTP: replaced, rotated, looked at from all sides, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from tests.certificates import Made, authority, issued, rsa_key, self_signed
from tests.integration.test_api_doors import assert_problem
from tests.integration.test_api_requests import accepted, aliases, look_at, worked_on
from tests.publisher import working
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, served, token

WAIT = {"Prefer": "wait=10"}
SHOP: dict[str, Any] = {
    "name": "shop",
    "version": "1.0",
    "context": "/shop",
    "provider": "admin",
    "type": "HTTP/REST",
    "endpoints": {"production": {"kind": "single", "urls": ["https://web.example/v1"]}, "sandbox": None},
}


def put(api: ServedApi, alias: str, made: Made, **headers: str) -> httpx.Response:
    return api.ask("PUT", f"/v1/certificates/{alias}", files={"certificate": made.pem}, headers=headers)


def rotate(api: ServedApi, alias: str, made: Made, **headers: str) -> httpx.Response:
    return api.ask("POST", f"/v1/certificates/{alias}/rotation", files={"certificate": made.pem}, headers=headers)


def web() -> Made:
    return self_signed("web.example")


@pytest.fixture
def trusting(sqlite_url: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[ServedApi]:
    """An api where `web` is trusted. What the database is asked for is tried on both kinds by the contract tests."""
    add_environment(sqlite_url, "other")
    with served(tmp_path, sqlite_url, redis_server.url) as api:
        api.upload("web", web())
        api.work()
        yield api


def add_api(api: ServedApi, **changed: object) -> str:
    answer = api.ask("POST", "/v1/apis", json=SHOP | changed)
    assert answer.status_code == 201, answer.text
    identity: str = answer.json()["id"]
    return identity


def token_of(api: ServedApi, *scopes: str, **limits: object) -> str:
    """A new token with these scopes."""
    secret = "tc_" + hashlib.sha256(repr((scopes, limits)).encode()).hexdigest()
    body = {
        "name": "somebody",
        "scopes": list(scopes),
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "token_sha256": hashlib.sha256(secret.encode()).hexdigest(),
    }
    answer = api.ask("POST", "/v1/tokens", json=body | limits)
    assert answer.status_code == 201, answer.text
    return secret


# Replace


def test_replaced_certificate_is_trusted_in_the_next_generation(trusting: ServedApi) -> None:
    tag, new = trusting.ask("GET", "/v1/certificates/web").headers["etag"], web()
    worker = worked_on(trusting)

    answer = put(trusting, "WEB", new, **WAIT, **{"If-Match": tag})

    worker.join()
    assert (answer.status_code, answer.json()["state"], answer.json()["kind"]) == (200, "applied", "replace")
    assert answer.json()["generations"] == {"default": 2, "other": 2}
    seen = trusting.ask("GET", "/v1/certificates/web")
    assert (seen.json()["fingerprint_sha256"], seen.headers["etag"]) == (
        new.fingerprint_sha256,
        f'"{new.fingerprint_sha256}"',
    )


def test_replacement_is_accepted_and_can_be_followed(trusting: ServedApi) -> None:
    answer = put(trusting, "web", web())

    assert answer.headers["location"] == f"/v1/operations/{accepted(answer)}"
    assert answer.json()["endpoint"] == "https://web.example:443"


def test_if_match_of_another_certificate_fails(trusting: ServedApi) -> None:
    stale = {"If-Match": f'"{"0" * 64}"'}

    assert_problem(put(trusting, "web", web(), **stale), 412, "precondition_failed")
    assert_problem(trusting.ask("DELETE", "/v1/certificates/web", headers=stale), 412, "precondition_failed")


def test_if_match_that_fails_in_its_turn_is_the_same_problem(trusting: ServedApi) -> None:
    tag = trusting.ask("GET", "/v1/certificates/web").headers["etag"]
    put(trusting, "web", web())
    worker = worked_on(trusting)

    answer = put(trusting, "web", web(), **WAIT, **{"If-Match": tag})

    worker.join()
    assert_problem(answer, 412, "precondition_failed")


def test_if_match_that_is_no_tag_is_refused(trusting: ServedApi) -> None:
    body = assert_problem(put(trusting, "web", web(), **{"If-Match": "zebra"}), 400, "if_match_invalid")

    assert body["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize("field", ["alias", "endpoint", "force"])
def test_replacement_names_nothing_but_the_certificate(trusting: ServedApi, field: str) -> None:
    answer = trusting.ask("PUT", "/v1/certificates/web", data={field: "x"}, files={"certificate": web().pem})

    assert_problem(answer, 400, "field_unknown")


def test_private_key_is_refused_wherever_a_certificate_is_taken(trusting: ServedApi) -> None:
    for method, path in (("PUT", "/v1/certificates/web"), ("POST", "/v1/certificates/web/rotation")):
        answer = trusting.ask(method, path, files={"certificate": web().key_pem})
        assert_problem(answer, 400, "private_key")


# Delete


def test_certificate_in_use_stays_and_its_users_are_listed(trusting: ServedApi) -> None:
    identity = add_api(trusting)

    answer = trusting.ask("DELETE", "/v1/certificates/web")

    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "certificate_in_use")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(one["id"], one["name"], one["role"]) for one in body["users"]] == [(identity, "shop", "production")]
    accepted(trusting.ask("DELETE", "/v1/certificates/web?force=true"))


def test_force_is_true_or_false(trusting: ServedApi) -> None:
    for word in ("yes", "1", "TRUE", "on", ""):
        assert_problem(trusting.ask("DELETE", f"/v1/certificates/web?force={word}"), 400, "invalid_request")
    body = assert_problem(trusting.ask("DELETE", "/v1/certificates/web?force=perhaps"), 400, "invalid_request")

    assert body["errors"][0]["field"] == "force"


def test_certificate_whose_names_apis_need_is_replaced_by_force_alone(trusting: ServedApi) -> None:
    two = self_signed("web.example", sans=["web.example", "shop.example"])
    accepted(put(trusting, "web", two))
    trusting.work()
    urls = {"production": {"kind": "single", "urls": ["https://shop.example"]}, "sandbox": None}
    add_api(trusting, endpoints=urls)

    refused = put(trusting, "web", web())
    accepted(rotate(trusting, "web", web()))
    trusting.work()
    report_everywhere(trusting)
    unfinished = trusting.ask("POST", "/v1/certificates/web/rotation/finish")

    for answer in (refused, unfinished):
        assert (answer.status_code, answer.json()["code"]) == (409, "certificate_in_use")
        assert [one["endpoint"] for one in answer.json()["users"]] == ["https://shop.example:443"]
    accepted(trusting.ask("POST", "/v1/certificates/web/rotation/finish?force=true"))
    trusting.work()
    accepted(put(trusting, "web", two))
    trusting.work()
    accepted(put(trusting, "web?force=true", web()))


# Rotation


def test_rotation_from_begin_to_end(trusting: ServedApi) -> None:
    old, new = trusting.ask("GET", "/v1/certificates/web").json()["fingerprint_sha256"], web()
    worker = worked_on(trusting)
    begun = rotate(trusting, "web", new, **WAIT)
    worker.join()
    assert (begun.status_code, begun.json()["alias"]) == (201, "web.next")

    told = trusting.ask("GET", "/v1/certificates/web/rotation").json()
    assert (told["alias"], told["converged"]) == ("web", False)
    assert (told["current"]["fingerprint_sha256"], told["following"]["rotates"]) == (old, "web")
    assert [(one["name"], one["has_it"]) for one in told["gateways"]] == [
        ("g1", False),
        ("g2", False),
        ("elsewhere", False),
    ]
    early = trusting.ask("POST", "/v1/certificates/web/rotation/finish")
    assert (early.status_code, early.json()["code"]) == (409, "rotation_not_converged")
    assert {one["name"] for one in early.json()["gateways"]} == {"g1", "g2", "elsewhere"}

    report_everywhere(trusting)
    assert trusting.ask("GET", "/v1/certificates/web/rotation").json()["converged"]
    worker = worked_on(trusting)
    finished = trusting.ask("POST", "/v1/certificates/web/rotation/finish", headers=WAIT)
    worker.join()

    assert (finished.status_code, finished.json()["kind"], finished.json()["alias"]) == (200, "replace", "web")
    assert trusting.pipeline.entries() == {"web": new.fingerprint_sha256}
    assert_problem(trusting.ask("GET", "/v1/certificates/web/rotation"), 404, "rotation_not_found")


def report_everywhere(api: ServedApi) -> None:
    for environment, names in (("default", ("g1", "g2")), ("other", ("elsewhere",))):
        status = api.pipeline.status(environment)
        told = {
            "environment": environment,
            "generation": status.generation,
            "entries_sha256": status.entries_sha256,
            "phase": "installed",
        }
        for name in names:
            assert api.ask("POST", f"/v1/gateways/{name}/reports", as_=token(name), json=told).status_code == 204


def test_cancelled_rotation_leaves_the_old_certificate(trusting: ServedApi) -> None:
    rotate(trusting, "web", web())
    trusting.work()
    assert trusting.pipeline.trusted() == {"web", "web.next"}
    worker = worked_on(trusting)

    answer = trusting.ask("POST", "/v1/certificates/web/rotation/cancel", headers=WAIT)

    worker.join()
    assert (answer.status_code, answer.json()["kind"]) == (200, "delete")
    assert trusting.pipeline.trusted() == {"web"}


def test_certificate_under_rotation_is_neither_replaced_nor_deleted(trusting: ServedApi) -> None:
    rotate(trusting, "web", web())
    trusting.work()

    refused = [accepted(put(trusting, "web", web())), accepted(trusting.ask("DELETE", "/v1/certificates/web"))]
    trusting.work()

    assert [look_at(trusting, one)["problem"]["code"] for one in refused] == ["rotation_under_way"] * 2  # type: ignore[index]


def test_rotation_that_there_is_none_of_is_not_found(trusting: ServedApi) -> None:
    for method, end in (("GET", ""), ("POST", "/finish"), ("POST", "/cancel")):
        for alias in ("web", "never", "n" * 255):
            answer = trusting.ask(method, f"/v1/certificates/{alias}/rotation{end}")
            assert_problem(answer, 404, "rotation_not_found")


def test_alias_without_room_behind_it_cannot_be_rotated(trusting: ServedApi) -> None:
    body = assert_problem(rotate(trusting, "n" * 251, web()), 400, "alias_too_long")

    assert body["errors"][0]["field"] == "alias"


# Looking


def test_content_comes_in_the_form_that_is_asked_for(trusting: ServedApi) -> None:
    der, pem, chain = "application/pkix-cert", "application/x-pem-file", "application/pem-certificate-chain"
    for query, accept, media_type in (
        ("", "*/*", der),
        ("?format=der", pem, der),
        ("?format=pem", "*/*", pem),
        ("", pem, pem),
        ("", f"{chain}, */*;q=0.1", chain),
    ):
        answer = trusting.ask("GET", f"/v1/certificates/WEB/content{query}", headers={"Accept": accept})

        load = x509.load_der_x509_certificate if media_type == der else x509.load_pem_x509_certificate
        name = "web.crt" if media_type == der else "web.pem"
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert load(answer.content).subject.rfc4514_string() == "CN=web.example"


def test_chain_goes_up_through_what_the_tenant_trusts(fresh_api: ServedApi) -> None:
    root = authority("Root")
    leaf = issued(root, "web.example")
    fresh_api.upload("root", root, "https://web.example", ca="true")
    fresh_api.upload("web", leaf)
    fresh_api.work()

    chain = fresh_api.ask("GET", "/v1/certificates/web/content?format=chain").content

    assert chain == leaf.pem + root.pem


def test_form_that_there_is_none_of_is_a_problem(trusting: ServedApi) -> None:
    refused = trusting.ask("GET", "/v1/certificates/web/content", headers={"Accept": "text/html"})
    unknown = trusting.ask("GET", "/v1/certificates/web/content?format=jks")

    assert_problem(refused, 406, "not_acceptable")
    assert_problem(unknown, 400, "invalid_request")


def test_usage_tells_apis_environments_and_gateways(trusting: ServedApi) -> None:
    add_api(trusting)
    trusting.pipeline.report("g1", 1)

    told = trusting.ask("GET", "/v1/certificates/web/usage").json()

    assert [(one["name"], one["endpoint"], one["role"]) for one in told["apis"]] == [
        ("shop", "https://web.example:443", "production")
    ]
    assert told["environments"] == ["default"]  # a hybrid one; the other is for sandboxes
    assert told["gateways"] == [
        {"name": "g1", "environment": "default", "has_it": True},
        {"name": "g2", "environment": "default", "has_it": False},
    ]


def test_environments_are_those_that_the_endpoint_is_called_from(trusting: ServedApi) -> None:
    def environments() -> list[str]:
        one: list[str] = trusting.ask("GET", "/v1/certificates/web").json()["environments"]
        (listed,) = trusting.ask("GET", "/v1/certificates").json()["certificates"]
        assert listed["environments"] == one
        return one

    before = environments()
    add_api(trusting)

    assert (before, environments()) == (["default", "other"], ["default"])


@pytest.fixture
def several(fresh_api: ServedApi) -> ServedApi:
    """`a` to `d`, ending in another order than they are named in."""
    pipeline = fresh_api.pipeline
    for alias, endpoint, days in (
        ("B-web", "https://web.example:8443", 40),
        ("a-web", "https://web.example", 50),
        ("c_six", "https://[2001:db8::1]:9443", 35),
        ("d", "https://web.example.evil", 60),
    ):
        host = endpoint.removeprefix("https://").partition("]")[0].strip("[").removesuffix(":8443")
        pipeline.add(alias, endpoint + ("" if endpoint.count(":") > 1 else ":443"), self_signed(host, days=days))
    fresh_api.work()
    return fresh_api


def test_filters_and_order(several: ServedApi) -> None:
    expected = {
        "endpoint=https://web.example": ["a-web", "B-web"],
        "endpoint=https://WEB.example/some/path?q=1": ["a-web", "B-web"],
        "endpoint=https://web.example:443": ["a-web"],
        "endpoint=https://web.example:8443/x": ["B-web"],
        "endpoint=https://[2001:DB8:0::1]": ["c_six"],
        "endpoint=https://web.exampl": [],
        "endpoint=https://web_example": [],
        "alias_contains=WEB": ["a-web", "B-web"],
        "alias_contains=_": ["c_six"],
        "alias_contains=%25": [],
        "alias=b-WEB": ["B-web"],
        "sort=alias": ["a-web", "B-web", "c_six", "d"],
        "sort=-alias": ["d", "c_six", "B-web", "a-web"],
        "sort=not_after": ["c_six", "B-web", "a-web", "d"],
        "sort=-not_after&limit=2&offset=1": ["a-web", "B-web"],
        "alias_contains=web&sort=-endpoint&limit=1": ["B-web"],
    }

    found = {query: aliases(several.ask("GET", f"/v1/certificates?{query}")) for query in expected}

    assert found == expected


def test_total_counts_what_matches_and_not_the_page(several: ServedApi) -> None:
    page = several.ask("GET", "/v1/certificates?alias_contains=web&limit=1").json()

    assert (len(page["certificates"]), page["total"]) == (1, 2)


def test_what_is_on_its_way_is_listed_only_when_asked_for(several: ServedApi) -> None:
    new = web()
    identity = accepted(several.upload("Later", new, "https://web.example:9443"))
    accepted(put(several, "a-web", self_signed("web.example", days=20)))

    pending = several.ask("GET", "/v1/certificates?status=pending&sort=-not_after").json()

    assert pending["total"] == 2
    assert [(one["alias"], one["status"]) for one in pending["certificates"]] == [
        ("Later", "pending"),
        ("a-web", "pending"),
    ]
    assert (pending["certificates"][0]["fingerprint_sha256"], pending["certificates"][0]["operation"]) == (
        new.fingerprint_sha256,
        identity,
    )
    assert "Later" not in aliases(several.ask("GET", "/v1/certificates"))


def test_filters_and_order_are_the_same_for_what_is_on_its_way(fresh_api: ServedApi) -> None:
    fresh_api.upload("one", self_signed("web.example", days=90), "https://web.example")
    fresh_api.upload("two", self_signed("web.example", days=30), "https://web.example:9443")
    expected = {
        "endpoint=https://web.example": ["one", "two"],
        "endpoint=https://web.example:9443": ["two"],
        "alias_contains=W": ["two"],
        "sort=-alias&limit=1": ["two"],
        "sort=not_after&offset=1": ["one"],
        "expires_before=2000-01-01T00:00:00Z": [],
    }

    found = {query: aliases(fresh_api.ask("GET", f"/v1/certificates?status=pending&{query}")) for query in expected}

    assert found == expected


def test_what_was_refused_is_not_on_its_way(fresh_api: ServedApi) -> None:
    fresh_api.upload("web", self_signed("web.example", key=rsa_key(1024)))
    fresh_api.work()

    assert aliases(fresh_api.ask("GET", "/v1/certificates?status=pending")) == []


# Operations


def test_operations_are_listed_newest_first(fresh_api: ServedApi) -> None:
    first = accepted(fresh_api.upload("one", self_signed("one.example")))
    second = accepted(fresh_api.upload("two", self_signed("two.example", key=rsa_key(1024))))
    fresh_api.work()
    third = accepted(fresh_api.ask("DELETE", "/v1/certificates/ONE"))

    def found(query: str = "") -> list[str]:
        answer = fresh_api.ask("GET", f"/v1/operations?{query}")
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["operations"]]

    assert found() == [third, second, first]
    assert found("state=applied") == [first]
    assert found("state=rejected") == [second]
    assert found("kind=delete") == [third]
    assert found("alias=oNe") == [third, first]
    assert found("limit=1&offset=1") == [second]
    assert fresh_api.ask("GET", "/v1/operations?limit=1").json()["total"] == 3


def test_listed_operation_says_where_it_took_effect(fresh_api: ServedApi) -> None:
    fresh_api.upload("one", self_signed("one.example"))
    fresh_api.work()

    (one,) = fresh_api.ask("GET", "/v1/operations").json()["operations"]

    assert (one["state"], one["generations"], one["converged"]) == ("applied", {"default": 1, "other": 1}, False)


@pytest.mark.parametrize("query", ["state=zebra7391", "kind=zebra7391", "limit=0", "offset=-1", "alias=%00"])
def test_wrong_filter_for_operations_is_refused_and_named(api: ServedApi, query: str) -> None:
    answer = api.ask("GET", f"/v1/operations?{query}")

    body = assert_problem(answer, 400, "invalid_request")
    assert [one["field"] for one in body["errors"]] == [query.partition("=")[0]]
    assert "zebra7391" not in answer.text


def test_what_a_failing_gateway_says_is_for_administrators(trusting: ServedApi) -> None:
    told = {
        "environment": "default",
        "generation": 0,
        "entries_sha256": None,
        "phase": "failed",
        "code": "disk_full",
        "detail": "No room for other-tenants-alias_7.",
    }
    assert trusting.ask("POST", "/v1/gateways/g1/reports", as_=token("g1"), json=told).status_code == 204
    reader = token_of(trusting, "apim:ep_certificates_view")
    path = "/v1/operations/" + trusting.ask("GET", "/v1/operations").json()["operations"][0]["id"]

    seen = {who: trusting.ask("GET", path, as_=who).json()["gateways"] for who in (ADMIN, reader)}

    assert [(one["name"], one["code"], one["detail"]) for one in seen[ADMIN]] == [("g1", "disk_full", told["detail"])]
    assert [(one["name"], one["code"], one["detail"]) for one in seen[reader]] == [("g1", "disk_full", None)]


# Tenants, tokens, keys


LOOKS = [("GET", ""), ("GET", "/content"), ("GET", "/usage"), ("GET", "/rotation")]
BRING = [("PUT", ""), ("POST", "/rotation")]
CHANGES = [*BRING, ("DELETE", ""), ("POST", "/rotation/finish"), ("POST", "/rotation/cancel")]


@pytest.fixture
def strangers(trusting: ServedApi) -> dict[str, str]:
    """The headers of somebody in another tenant."""
    assert trusting.ask("PUT", "/v1/tenants/7", json={"domain": "seven.example", "on_expiry": "keep"}).is_success
    return {"Trustcast-Tenant": "seven.example"}


def test_another_tenants_certificate_is_like_one_that_never_was(trusting: ServedApi, strangers: dict[str, str]) -> None:
    rotate(trusting, "web", web())
    trusting.work()

    for method, path in [*LOOKS, *CHANGES]:
        files = {"certificate": web().pem} if (method, path) in BRING else None
        theirs, never = (
            trusting.ask(method, f"/v1/certificates/{alias}{path}", headers=strangers, files=files)
            for alias in ("web", "nev")
        )
        assert theirs.status_code == never.status_code == 404
        assert theirs.json() == never.json()


def test_another_tenants_operation_is_like_one_that_never_was(trusting: ServedApi, strangers: dict[str, str]) -> None:
    identity = trusting.ask("GET", "/v1/operations").json()["operations"][0]["id"]

    theirs, never = (
        trusting.ask("GET", f"/v1/operations/{one}", headers=strangers)
        for one in (identity, "00000000-0000-0000-0000-000000000000")
    )

    assert theirs.status_code == never.status_code == 404
    assert theirs.json() == never.json()
    assert trusting.ask("GET", "/v1/operations", headers=strangers).json()["total"] == 0
    assert trusting.ask("GET", "/v1/certificates", headers=strangers).json()["total"] == 0


def test_two_tenants_have_the_same_alias_each_for_itself(trusting: ServedApi, strangers: dict[str, str]) -> None:
    theirs = web()

    accepted(trusting.upload("web", theirs, headers=strangers))
    trusting.work()

    seen = trusting.ask("GET", "/v1/certificates/web", headers=strangers).json()
    assert seen["fingerprint_sha256"] == theirs.fingerprint_sha256
    assert trusting.pipeline.trusted() == {"web", "web_7"}


def test_token_with_prefixes_changes_nothing_beyond_them(trusting: ServedApi) -> None:
    billing = token_of(trusting, "apim:api_manage", alias_prefixes=["billing-"])
    files, data = {"certificate": web().pem}, {"alias": "web2", "endpoint": "https://web.example"}

    answers = [
        trusting.ask("POST", "/v1/certificates", as_=billing, files=files, data=data),
        *(trusting.ask(method, f"/v1/certificates/web{path}", as_=billing, files=files) for method, path in CHANGES),
    ]

    for answer in answers:
        assert_problem(answer, 403, "alias_not_allowed")


def test_expired_certificate_is_accepted_from_administrators_who_say_so(fresh_api: ServedApi) -> None:
    old = self_signed("web.example", not_before=datetime.now(UTC) - timedelta(days=9), days=3)
    uploader = token_of(fresh_api, "apim:api_manage")
    data = {"alias": "web", "endpoint": "https://web.example", "accept_expired": "true"}

    refused = fresh_api.ask("POST", "/v1/certificates", as_=uploader, data=data, files={"certificate": old.pem})
    identity = accepted(fresh_api.upload("web", old, accept_expired="true"))
    fresh_api.work()

    assert_problem(refused, 403, "accept_expired_not_allowed")
    told = look_at(fresh_api, identity)
    assert (told["state"], [one["code"] for one in told["warnings"]]) == ("applied", ["expired"])  # type: ignore[attr-defined]
    assert fresh_api.ask("GET", "/v1/certificates/web").json()["status"] == "expired"


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_key_makes_one_operation_of_a_request_sent_twice(trusting: ServedApi, method: str, path: str) -> None:
    files = {"certificate": web().pem} if (method, path) in BRING else None
    if path in {"/rotation/finish", "/rotation/cancel"}:
        rotate(trusting, "web", web())
        trusting.work()
        report_everywhere(trusting)

    def send(alias: str = "web") -> httpx.Response:
        return trusting.ask(method, f"/v1/certificates/{alias}{path}", files=files, headers={"Idempotency-Key": "k-1"})

    first = accepted(send())
    trusting.work()

    again = send()
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, first, "applied")
    assert_problem(send("other"), 422, "idempotency_key_reused")


def test_endpoint_of_an_api_that_takes_no_certificates_is_refused(fresh_api: ServedApi) -> None:
    add_api(fresh_api, type="WS")

    body = assert_problem(fresh_api.upload("web", web()), 409, "endpoint_type_unsupported")

    assert body["errors"][0]["field"] == "endpoint"


def test_endpoint_of_no_api_is_refused_where_the_operator_says_so(
    sqlite_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_environment(sqlite_url, "other")
    with served(tmp_path, sqlite_url, redis_server.url, {"TRUSTCAST_UNREGISTERED_ENDPOINTS": "refuse"}) as api:
        assert_problem(api.upload("web", web()), 409, "endpoint_not_registered")
        add_api(api)

        accepted(api.upload("web", web()))


def test_answer_that_waited_has_the_certificates_tag(trusting: ServedApi) -> None:
    first, second = self_signed("tag.example"), self_signed("tag.example")
    wait = {"Prefer": "wait=30"}

    with working(trusting):
        added = trusting.upload("tag", first, headers=wait)
        replaced = trusting.ask("PUT", "/v1/certificates/tag", files={"certificate": second.pem}, headers=wait)
        deleted = trusting.ask("DELETE", "/v1/certificates/tag", headers=wait | {"If-Match": replaced.headers["etag"]})

    assert (added.status_code, added.headers["etag"]) == (201, f'"{first.fingerprint_sha256}"')
    assert (replaced.status_code, replaced.headers["etag"]) == (200, f'"{second.fingerprint_sha256}"')
    assert (deleted.status_code, "etag" in deleted.headers) == (200, False)
