"""Uploads, deletes and looks over HTTP; the worker's part is done by hand in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jks as pyjks
import pytest
from sqlalchemy import func, select

from tests.certificates import Made, rsa_key, self_signed
from tests.databases import PostgresServer, SqliteFiles
from tests.integration.test_api_doors import assert_problem
from tests.processes import until
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served, token
from trustcast.storage.tables import operation, outbox
from trustcast_api.list_certificates import Status, status_of
from trustcast_cli import free_port

NOW = datetime.now(UTC).replace(microsecond=0)


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    identity: str = answer.json()["id"]
    return identity


def look_at(api: ServedApi, identity: str) -> dict[str, object]:
    told: dict[str, object] = api.ask("GET", f"/v1/operations/{identity}").json()
    return told


def test_upload_is_accepted_and_its_story_can_be_read(fresh_api: ServedApi) -> None:
    answer = fresh_api.upload("Web", self_signed("web.example"))

    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/operations/{told['id']}"
    assert look_at(fresh_api, told["id"]).items() >= {"id": told["id"], "kind": "add", "alias": "Web"}.items()
    assert (told["state"], told["endpoint"], told["converged"]) == ("received", "https://web.example:443", False)
    assert told["accepted_at"].endswith("Z")
    assert len(told["accepted_at"]) == len("2026-11-23T12:00:00.000Z")


def test_story_ends_with_generations_and_the_gateways_that_have_it(fresh_api: ServedApi) -> None:
    identity = accepted(fresh_api.upload("web", self_signed("web.example")))
    fresh_api.work()
    fresh_api.pipeline.report("g1", 1)

    told = look_at(fresh_api, identity)

    assert (told["state"], told["generations"], told["converged"]) == ("applied", {"default": 1, "other": 1}, False)
    assert [one["name"] for one in told["gateways"]] == ["g1"]  # type: ignore[attr-defined]


def test_refused_upload_tells_why(fresh_api: ServedApi) -> None:
    identity = accepted(fresh_api.upload("web", self_signed("web.example", key=rsa_key(1024))))
    fresh_api.work()

    told = look_at(fresh_api, identity)

    assert told["state"] == "rejected"
    assert told["problem"]["status"] == 400  # type: ignore[index]
    assert told["problem"]["errors"][0]["field"] == "certificate"  # type: ignore[index]


def test_trusted_certificate_is_described(fresh_api: ServedApi) -> None:
    made = self_signed("web.example", sans=["web.example", "www.web.example", "192.0.2.7"])
    fresh_api.upload("Web", made)
    fresh_api.work()

    told = fresh_api.ask("GET", "/v1/certificates/wEB").json()

    assert told["fingerprint_sha256"] == made.fingerprint_sha256
    assert (told["alias"], told["status"], told["is_ca"], told["self_signed"]) == ("Web", "active", False, True)
    assert told["names"] == ["web.example", "www.web.example", "192.0.2.7"]
    assert told["environments"] == ["default", "other"]
    assert told["not_after"] == made.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_deleted_certificate_is_gone(fresh_api: ServedApi) -> None:
    fresh_api.upload("web", self_signed("web.example"))
    fresh_api.work()

    identity = accepted(fresh_api.ask("DELETE", "/v1/certificates/WEB"))
    fresh_api.work()

    assert look_at(fresh_api, identity)["state"] == "applied"
    assert_problem(fresh_api.ask("GET", "/v1/certificates/web"), 404, "certificate_not_found")
    assert_problem(fresh_api.ask("DELETE", "/v1/certificates/web"), 404, "certificate_not_found")


def test_unknown_operation_is_not_found(api: ServedApi) -> None:
    assert_problem(api.ask("GET", "/v1/operations/00000000-0000-0000-0000-000000000000"), 404, "operation_not_found")


@pytest.mark.parametrize("path", ["truststore", "changes", "truststore.jks"])
def test_unknown_environment_is_not_found(api: ServedApi, path: str) -> None:
    answer = api.ask("GET", f"/v1/environments/nowhere/{path}", headers={"Truststore-Password": "changeit"})

    assert_problem(answer, 404, "environment_not_found")


# Prefer (RFC 7240)


def worked_on(api: ServedApi, *, after: float = 0.15, by: Callable[[], object] | None = None) -> threading.Thread:
    """Do the worker's part, or `by`, from another thread: after so many seconds, once there is something to do."""

    def work() -> None:
        time.sleep(after)
        until(by or api.work)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("prefer", ["wait=10", "respond-async, wait=10", "wait=10; x=y", "handling=lenient,wait=10"])
def test_client_that_waits_gets_the_verdict(fresh_api: ServedApi, prefer: str) -> None:
    worker = worked_on(fresh_api)

    answer = fresh_api.upload("web", self_signed("web.example"), headers={"Prefer": prefer})

    worker.join()
    assert (answer.status_code, answer.json()["state"]) == (201, "applied")
    assert answer.headers["preference-applied"] == "wait=10"


def test_client_that_waits_gets_the_problem(fresh_api: ServedApi) -> None:
    fresh_api.upload("web", self_signed("web.example"))
    fresh_api.work()
    worker = worked_on(fresh_api)

    answer = fresh_api.upload("WEB", self_signed("web.example"), headers={"Prefer": "wait=10"})

    worker.join()
    body = assert_problem(answer, 409, "alias_exists")
    assert look_at(fresh_api, body["operation"])["state"] == "rejected"
    assert [one["field"] for one in body["errors"]] == ["alias"]


def test_client_that_waits_for_a_delete_gets_200(fresh_api: ServedApi) -> None:
    fresh_api.upload("web", self_signed("web.example"))
    fresh_api.work()
    worker = worked_on(fresh_api)

    answer = fresh_api.ask("DELETE", "/v1/certificates/web", headers={"Prefer": "wait=10"})

    worker.join()
    assert (answer.status_code, answer.json()["state"]) == (200, "applied")


def test_client_does_not_wait_longer_than_it_said(fresh_api: ServedApi) -> None:
    started = time.monotonic()

    answer = fresh_api.upload("web", self_signed("web.example"), headers={"Prefer": "wait=1"})

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")
    assert 0.9 < time.monotonic() - started < 5


def upload_for(api: ServedApi, at: datetime, made: Made, *, seconds: int) -> httpx.Response:
    """Upload for a moment to come, and wait so long."""
    fields = {"alias": "web", "endpoint": "https://web.example", "activate_at": at.isoformat()}
    files = {"certificate": ("web.pem", made.pem)}
    return api.ask("POST", "/v1/certificates", data=fields, files=files, headers={"Prefer": f"wait={seconds}"})


def test_who_plans_ahead_waits_for_the_verdict_and_no_longer(fresh_api: ServedApi) -> None:
    started, worker = time.monotonic(), worked_on(fresh_api, by=fresh_api.pipeline.validate)

    answer = upload_for(fresh_api, datetime.now(UTC) + timedelta(hours=1), self_signed("web.example"), seconds=30)

    worker.join()
    told = answer.json()
    assert (answer.status_code, told["state"], told["applied_at"]) == (202, "validated", None)
    assert "activates_later" in [one["code"] for one in told["warnings"]]
    assert time.monotonic() - started < 15


def test_who_plans_what_is_refused_gets_the_problem(fresh_api: ServedApi) -> None:
    started, worker = time.monotonic(), worked_on(fresh_api, by=fresh_api.pipeline.validate)
    over_by_then = self_signed("web.example", days=1)

    answer = upload_for(fresh_api, datetime.now(UTC) + timedelta(days=2), over_by_then, seconds=30)

    worker.join()
    assert_problem(answer, 400, "certificate_expired")
    assert time.monotonic() - started < 15


def test_who_waits_beyond_the_time_that_was_planned_sees_the_end(fresh_api: ServedApi) -> None:
    worker = worked_on(fresh_api)

    answer = upload_for(fresh_api, datetime.now(UTC) + timedelta(seconds=1), self_signed("web.example"), seconds=30)

    worker.join()
    assert (answer.status_code, answer.json()["state"]) == (201, "applied")
    assert "activates_later" not in [one["code"] for one in answer.json()["warnings"]]


@pytest.mark.parametrize(
    "prefer", ["", "respond-async", "wait=0", "wait=-1", "wait=soon", "await=9", "wait", "wait=9x"]
)
def test_preference_that_asks_for_no_wait_is_answered_at_once(fresh_api: ServedApi, prefer: str) -> None:
    started = time.monotonic()

    answer = fresh_api.upload("web", self_signed("web.example"), headers={"Prefer": prefer})

    assert answer.status_code == 202
    assert time.monotonic() - started < 3


# Idempotency-Key


def test_same_key_fifty_times_at_once_is_one_operation(fresh_api: ServedApi) -> None:
    made = self_signed("web.example")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: fresh_api.upload("web", made, headers={"Idempotency-Key": "k"}), range(50)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    with fresh_api.database.reading() as transaction:
        assert transaction.execute(select(func.count()).select_from(operation)).scalar_one() == 1


def test_same_key_for_another_payload_is_unprocessable(fresh_api: ServedApi) -> None:
    key = {"Idempotency-Key": "k"}
    fresh_api.upload("web", self_signed("web.example"), headers=key)

    assert_problem(fresh_api.upload("web", self_signed("web.example"), headers=key), 422, "idempotency_key_reused")
    assert_problem(fresh_api.ask("DELETE", "/v1/certificates/web", headers=key), 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["k" * 255, "{}", "a b", "\xe9", "'; DROP TABLE operation; --", "0"])
def test_any_readable_key_will_do(fresh_api: ServedApi, key: str) -> None:
    made = self_signed("web.example")
    headers = {b"Idempotency-Key": key.encode("latin-1")}

    ids = {accepted(fresh_api.upload("web", made, headers=headers)) for _ in range(2)}  # type: ignore[arg-type]

    assert len(ids) == 1


# Listing


def trust(api: ServedApi, *made: tuple[str, Made]) -> None:
    """Have certificates trusted, each at the beginning of its time: what was valid once may be expired now."""
    now = api.pipeline.at
    for alias, one in made:
        api.pipeline.at = one.certificate.not_valid_before_utc + timedelta(seconds=1)
        api.pipeline.add(alias, f"https://{alias.lower()}.example:443", one)
        assert api.pipeline.run()
    api.pipeline.at = now


def lasting(begins: timedelta, ends: timedelta) -> Made:
    return self_signed("web.example", not_before=NOW + begins, days=(ends - begins) / timedelta(days=1))


def aliases(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["alias"] for one in answer.json()["certificates"]]


def test_pages_hold_everything_once_in_the_order_of_aliases(fresh_api: ServedApi) -> None:
    names = ["b", "A", "c-1", "C-0", "d", "e.1", "e_1"]
    trust(fresh_api, *((name, self_signed(f"{number}.example")) for number, name in enumerate(names)))

    pages = [fresh_api.ask("GET", f"/v1/certificates?limit=3&offset={offset}") for offset in (0, 3, 6, 9)]

    seen = [alias for page in pages for alias in aliases(page)]
    assert sorted(seen) == sorted(names)
    assert [len(aliases(page)) for page in pages] == [3, 3, 1, 0]
    assert {page.json()["total"] for page in pages} == {7}
    assert [alias.lower() for alias in seen][:3] == ["a", "b", "c-0"]


def test_each_status_finds_those_that_say_they_have_it(fresh_api: ServedApi) -> None:
    """SQL and `status_of` draw the same lines, also at the edges."""
    day = timedelta(days=1)
    trust(
        fresh_api,
        *(
            (f"c-{number}", lasting(begins, ends))
            for number, (begins, ends) in enumerate(
                [
                    (-9 * day, -day),
                    (-9 * day, timedelta(seconds=-5)),
                    (-9 * day, timedelta(minutes=10)),
                    (-9 * day, 29 * day),
                    (-9 * day, 30 * day - timedelta(minutes=1)),
                    (-9 * day, 30 * day + timedelta(minutes=10)),
                    (-9 * day, 400 * day),
                    (timedelta(minutes=10), 5 * day),
                    (day, 400 * day),
                ]
            )
        ),
    )
    everything = fresh_api.ask("GET", "/v1/certificates").json()["certificates"]

    trusted = [status for status in Status if status is not Status.PENDING]

    found = {status: aliases(fresh_api.ask("GET", f"/v1/certificates?status={status}")) for status in trusted}

    assert found == {status: [one["alias"] for one in everything if one["status"] == status] for status in trusted}
    assert sum(map(len, found.values())) == 9
    assert all(found.values())


@pytest.mark.parametrize(
    ("begins", "ends", "status"),
    [
        (-1, 0, Status.EXPIRING),
        (0, 31 * 86400, Status.ACTIVE),
        (-1, -0.000001, Status.EXPIRED),
        (0.000001, 9, Status.NOT_YET_VALID),
        (-1, 30 * 86400, Status.ACTIVE),
    ],
)
def test_status_at_its_edges(begins: float, ends: float, status: Status) -> None:
    assert status_of(NOW + timedelta(seconds=begins), NOW + timedelta(seconds=ends), at=NOW) is status


def test_filters_narrow_together(fresh_api: ServedApi) -> None:
    trust(fresh_api, ("one", lasting(-timedelta(1), timedelta(10))), ("two", lasting(-timedelta(1), timedelta(100))))
    soon = (NOW + timedelta(days=20)).isoformat().replace("+00:00", "Z")

    def found(query: str) -> list[str]:
        return aliases(fresh_api.ask("GET", f"/v1/certificates?{query}"))

    assert found("alias=ONE") == ["one"]
    assert found("endpoint=https://TWO.example/some/path") == ["two"]
    assert found(f"expires_before={soon}") == ["one"]
    assert found("status=active") == ["two"]
    assert found(f"alias=two&expires_before={soon}") == []
    assert found("alias=on") == []


# Distribution


def test_changes_lead_from_any_generation_to_the_newest(fresh_api: ServedApi) -> None:
    def changes(after: int) -> list[tuple[str, str]]:
        body = fresh_api.ask("GET", f"/v1/environments/default/changes?after={after}", as_=token("g1")).json()
        assert body["after"] == after
        return [(one["change"], one["alias"]) for one in body["changes"]]

    for name in ("a", "b"):
        fresh_api.upload(name, self_signed(f"{name}.example"))
        fresh_api.work()
    fresh_api.ask("DELETE", "/v1/certificates/a")
    fresh_api.work()

    assert changes(0) == [("put", "b")]
    assert changes(1) == [("put", "b"), ("remove", "a")]
    assert changes(2) == [("remove", "a")]
    assert changes(3) == changes(99) == []


def test_environment_without_a_generation_has_no_head(fresh_api: ServedApi) -> None:
    body = fresh_api.ask("GET", "/v1/environments/default/changes", as_=token("g1")).json()

    assert body == {"head": None, "after": 0, "changes": []}


def test_held_request_is_answered_when_there_is_news(fresh_api: ServedApi) -> None:
    fresh_api.pipeline.add("web")
    worker = worked_on(fresh_api, after=0.3)
    started = time.monotonic()

    body = fresh_api.ask("GET", "/v1/environments/default/changes?after=0&wait=20", as_=token("g1")).json()

    worker.join()
    assert [one["alias"] for one in body["changes"]] == ["web"]
    assert 0.25 < time.monotonic() - started < 10


def test_held_request_without_news_ends_empty(fresh_api: ServedApi) -> None:
    started = time.monotonic()

    body = fresh_api.ask("GET", "/v1/environments/default/changes?wait=1", as_=token("g1")).json()

    assert body["changes"] == []
    assert 0.9 < time.monotonic() - started < 5


def test_truststore_says_who_has_it(fresh_api: ServedApi) -> None:
    made = self_signed("web.example")
    fresh_api.upload("Web", made)
    fresh_api.work()
    digest = fresh_api.pipeline.status().entries_sha256
    told = {"environment": "default", "generation": 1, "entries_sha256": digest, "phase": "installed"}
    for name in ("g1", "g2"):
        before = fresh_api.ask("GET", "/v1/environments/default/truststore").json()["converged"]
        assert (
            fresh_api.ask("POST", f"/v1/gateways/{name}/reports", as_=token(name), json=told).status_code,
            before,
        ) == (204, False)

    body = fresh_api.ask("GET", "/v1/environments/default/truststore").json()

    assert (body["generation"], body["entries_sha256"], body["converged"]) == (1, digest, True)
    assert body["entries"] == [{"alias": "web", "fingerprint_sha256": made.fingerprint_sha256, "warnings": []}]
    assert [(one["name"], one["generation"], one["phase"]) for one in body["gateways"]] == [
        ("g1", 1, "installed"),
        ("g2", 1, "installed"),
    ]


def test_truststore_file_opens_with_its_password(fresh_api: ServedApi) -> None:
    made = self_signed("web.example")
    fresh_api.upload("Web", made)
    fresh_api.work()

    answer = fresh_api.ask(
        "GET",
        "/v1/environments/default/truststore.jks",
        as_=token("g1"),
        headers={"Truststore-Password": "a pass word"},
    )

    assert answer.headers["content-type"] == "application/x-java-keystore"
    assert answer.headers["cache-control"] == "no-store"
    opened = pyjks.KeyStore.loads(answer.content, "a pass word")
    assert {alias: entry.cert for alias, entry in opened.certs.items()} == {"web": made.der}
    with pytest.raises(pyjks.KeystoreSignatureException):
        pyjks.KeyStore.loads(answer.content, "another")


# What is broken around us


def test_broker_that_is_away_does_not_refuse_uploads(sqlite_url: str, tmp_path: Path) -> None:
    add_environment(sqlite_url, "other")
    nowhere = f"redis://127.0.0.1:{free_port.checked('127.0.0.1', 0)}/0"
    with served(tmp_path, sqlite_url, nowhere) as api:
        accepted(api.upload("web", self_signed("web.example")))
        time.sleep(0.5)

        body = assert_problem(api.ask("GET", "/readyz", as_=None), 503, "broker_unavailable")

        assert "broker" in body["detail"]
        with api.database.reading() as transaction:
            assert transaction.execute(select(func.count()).select_from(outbox)).scalar_one() == 1
        assert api.ask("GET", "/healthz", as_=None).status_code == 200


def test_broker_that_comes_back_gets_what_it_is_owed(sqlite_url: str, tmp_path: Path) -> None:
    add_environment(sqlite_url, "other")
    server = RedisServer(tmp_path)
    server.stop()
    with served(tmp_path, sqlite_url, server.url) as api:
        accepted(api.upload("web", self_signed("web.example")))
        server.start()

        with server.client() as client:
            until(lambda: client.llen("validation"))
    server.stop()


def test_database_that_is_away_is_a_problem_that_says_when_to_try_again(
    sqlite_files: SqliteFiles, tmp_path: Path, redis_server: RedisServer
) -> None:
    url = sqlite_files.fresh(tmp_path)
    add_environment(url, "other")
    with served(tmp_path, url, redis_server.url) as api:
        for path in tmp_path.glob("trustcast.db*"):
            with path.open("r+b") as file:  # the write-ahead log and its index, too
                file.write(b"overwritten by something else altogether " * (path.stat().st_size // 41))

        for method, where in (("GET", "/v1/certificates"), ("GET", "/readyz"), ("GET", "/v1/operations/1")):
            answer = api.ask(method, where)
            assert_problem(answer, 503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        answer = api.upload("web", self_signed("web.example"))
        assert_problem(answer, 503, "database_unavailable")
        assert str(tmp_path) not in answer.text


def test_database_that_lost_a_table_is_not_ready(fresh_api: ServedApi) -> None:
    with fresh_api.database.writing() as transaction:
        transaction.exec_driver_sql("DROP TABLE audit_tail")
        transaction.commit()

    body = assert_problem(fresh_api.ask("GET", "/readyz", as_=None), 503, "database_damaged")

    assert body["detail"] == "The database is damaged; the api's log says more."


def test_database_that_vanishes_from_its_server_is_a_problem(
    postgres: PostgresServer, tmp_path: Path, redis_server: RedisServer
) -> None:
    url = postgres.fresh()
    add_environment(url, "other")
    with served(tmp_path, url, redis_server.url) as api:
        assert api.ask("GET", "/v1/certificates").status_code == 200

        postgres.drop(url)

        for _ in range(2):
            assert_problem(api.ask("GET", "/v1/certificates"), 503, "database_unavailable")
