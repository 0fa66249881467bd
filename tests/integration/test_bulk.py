"""Many certificates in one body: one bad line stops no other, and a body that broke off goes on."""

from __future__ import annotations

import base64
import http.client
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.certificates import Made, self_signed
from tests.integration.test_api_doors import assert_problem
from tests.served_api import ADMIN, ServedApi
from trustcast_api.body_limit import MAX_BULK_BYTES
from trustcast_api.read_bulk import MAX_LINE_BYTES, MAX_LINES

BULK = "/v1/certificates/bulk"
NDJSON = {"Content-Type": "application/x-ndjson"}
MARK = "zebra7391"
MADE = self_signed("web.example")


def some(what: str = "web") -> str:
    return f"{what}-{uuid.uuid4().hex[:12]}"


def member(alias: str = "", made: Made | None = None, **more: Any) -> dict[str, Any]:
    alias = alias or some()
    made = made or self_signed(f"{alias}.example")
    return {"alias": alias, "endpoint": f"https://{alias}.example", "certificate": made.pem.decode()} | more


def odd(**more: Any) -> bytes:
    """A line with something wrong in it."""
    return json.dumps(member(made=MADE) | more).encode()


def body(*lines: dict[str, Any] | bytes) -> bytes:
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)


def send(api: ServedApi, content: Any, headers: dict[str, str] | None = None, as_: str = ADMIN) -> httpx.Response:
    return api.ask("POST", BULK, content=content, headers=NDJSON | (headers or {}), as_=as_)


def told(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/batches/{answer.json()['id']}"
    return dict(answer.json())


def stopped(answer: httpx.Response, code: str) -> str:
    """Return the batch that the problem names."""
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["location"] == f"/v1/batches/{problem['batch']}"
    return str(problem["batch"])


def codes(batch: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    return [(one["line"], one["code"], one["field"]) for one in batch["problems"]]


def test_lines_become_operations_and_travel_on(api: ServedApi) -> None:
    """In PEM, in base64 of DER, and as a chain."""
    pem, der, ca = some(), some(), some()
    authority = self_signed(f"{ca}.example", ca=True)
    binary = base64.b64encode(self_signed(f"{der}.example").der).decode()

    batch = told(send(api, body(member(pem), member(der, certificate=binary), member(ca, authority, ca=True))))
    api.work()
    after = api.ask("GET", f"/v1/batches/{batch['id']}").json()

    assert (batch["lines"], batch["complete"], batch["states"]["received"]) == (3, True, 3)
    assert (after["states"]["applied"], after["total_problems"]) == (3, 0)
    assert {api.ask("GET", f"/v1/certificates/{alias}").status_code for alias in (pem, der, ca)} == {200}


BAD: dict[str, tuple[bytes, str, str | None]] = {
    "no JSON": (MARK.encode(), "line_not_json", None),
    "cut": (b'{"alias": "' + MARK.encode(), "line_not_json", None),
    "list": (b'["' + MARK.encode() + b'"]', "line_not_json", None),
    "number": (b"1", "line_not_json", None),
    "deep": (b"[" * 50_000, "line_not_json", None),
    "not a number": (b'{"alias": NaN}', "field_missing", "endpoint"),
    "byte-order mark": (b"\xef\xbb\xbf{}", "line_not_json", None),
    "no UTF-8": (b'{"alias": "\xff"}', "line_not_utf8", None),
    "UTF-16": ('{"a":1}'.encode("utf-16-be"), "line_not_json", None),
    "unknown": (odd(extra=MARK), "field_unknown", None),
    "of a form": (odd(extra=MARK, activate_at=MARK), "field_unknown", "activate_at"),
    "twice": (b'{"alias":"a","alias":"b","endpoint":"e","certificate":"c"}', "field_repeated", "alias"),
    "missing": (b'{"alias":"web","endpoint":"https://web.example"}', "field_missing", "certificate"),
    "type": (odd(alias=7), "field_invalid", "alias"),
    "text for ca": (odd(ca="true"), "field_invalid", "ca"),
    "null": (odd(endpoint=None), "field_invalid", "endpoint"),
    "alias": (odd(alias=f"../{MARK}"), "alias_invalid", "alias"),
    "half a pair": (odd(alias="\ud800"), "alias_invalid", "alias"),
    "endpoint": (odd(endpoint=f"gopher://{MARK}"), "endpoint_scheme", "endpoint"),
    "half a pair in the endpoint": (odd(endpoint="https://\udc00.example"), "endpoint_characters", "endpoint"),
    "certificate": (odd(certificate=f"{MARK}!"), "certificate_encoding", "certificate"),
    "empty certificate": (odd(certificate=""), "certificate_empty", "certificate"),
    "other bytes": (odd(certificate="AAAA"), "not_a_certificate", "certificate"),
    "long": (b'{"alias": "' + b"x" * MAX_LINE_BYTES + b'"}', "line_too_long", None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_line_is_told_and_stops_no_other(api: ServedApi, name: str) -> None:
    line, code, field = BAD[name]

    answer = send(api, body(member(), line, member()))

    batch = told(answer)
    assert codes(batch) == [(2, code, field)]
    assert (batch["states"]["received"], batch["states"]["refused"], batch["lines"]) == (2, 1, 3)
    assert MARK not in answer.text


def test_empty_lines_count_and_are_nothing_else(api: ServedApi) -> None:
    batch = told(send(api, b"\n\r\n" + body(member()) + b" \t\n{"))

    assert (batch["lines"], codes(batch)) == (5, [(5, "line_not_json", None)])


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_last_line_needs_no_end(api: ServedApi, end: bytes) -> None:
    batch = told(send(api, body(member(), member()).rstrip(b"\n") + end))

    assert (batch["lines"], batch["states"]["received"]) == (2, 2)


@pytest.mark.parametrize("empty", [b"", b"\n", b" \n\r\n\t"])
def test_body_without_anything_is_refused(api: ServedApi, empty: bytes) -> None:
    before = api.ask("GET", "/v1/batches").json()["total"]

    assert_problem(send(api, empty), 400, "bulk_empty")
    assert api.ask("GET", "/v1/batches").json()["total"] == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_other_kinds_of_bodies_are_refused(api: ServedApi, kind: str) -> None:
    answer = api.ask("POST", BULK, content=body(member()), headers={"Content-Type": kind})

    assert_problem(answer, 415, "content_type")


@pytest.mark.parametrize("kind", ["application/jsonl", "application/json-lines", "Application/X-NDJSON; charset=utf-8"])
def test_every_name_of_the_kind_is_known(api: ServedApi, kind: str) -> None:
    told(send(api, body(member()), {"Content-Type": kind}))


def test_the_same_alias_twice_is_a_matter_of_turns(api: ServedApi) -> None:
    alias = some()

    batch = told(send(api, body(member(alias), member(alias))))
    api.work()

    after = api.ask("GET", f"/v1/batches/{batch['id']}").json()
    assert (after["states"]["applied"], after["states"]["rejected"]) == (1, 1)
    [problem] = after["problems"]
    assert (problem["line"], problem["alias"], problem["code"]) == (2, alias, "alias_exists")
    assert api.ask("GET", f"/v1/operations/{problem['operation']}").json()["state"] == "rejected"


def test_alias_that_is_called_like_the_route_stays_one(api: ServedApi) -> None:
    told(send(api, body(member("bulk"))))
    api.work()

    new = {"certificate": self_signed("bulk.example").pem}
    statuses = [
        api.ask("GET", BULK).status_code,
        api.ask("PUT", BULK, files=new).status_code,
        api.ask("DELETE", BULK).status_code,
    ]
    api.work()

    assert statuses == [200, 202, 202]
    assert api.ask("GET", BULK).status_code == 404


def test_token_bound_to_prefixes_is_told_line_by_line(api: ServedApi) -> None:
    mine, text = some("team"), some("token")
    made = {
        "name": "ci",
        "scopes": ["apim:ep_certificates_add"],
        "alias_prefixes": ["team-"],
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "token_sha256": sha256(text.encode()).hexdigest(),
    }
    assert api.ask("POST", "/v1/tokens", json=made).status_code == 201

    batch = told(send(api, body(member(mine), member("other-" + mine)), as_=text))

    assert codes(batch) == [(2, "alias_not_allowed", None)]
    assert batch["problems"][0]["alias"] == "other-" + mine


def test_more_lines_than_a_batch_has_are_refused_and_the_first_stay(api: ServedApi) -> None:
    answer = send(api, body(member()) + b"{}\n" * (MAX_LINES + 1))

    where = f"/v1/batches/{stopped(answer, 'bulk_too_long')}"
    batch = api.ask("GET", where).json()
    assert (batch["lines"], batch["complete"], batch["problem"]["code"]) == (MAX_LINES, True, "bulk_too_long")
    assert (batch["states"]["received"], batch["total_problems"]) == (1, MAX_LINES - 1)
    assert len(api.ask("GET", f"{where}?limit=1000&offset=9500").json()["problems"]) == 499


def test_exactly_as_many_lines_as_a_batch_has_are_taken(api: ServedApi) -> None:
    assert told(send(api, b"{}\n" * MAX_LINES))["lines"] == MAX_LINES


def test_announced_length_beyond_the_limit_is_refused_at_once(api: ServedApi) -> None:
    before = api.ask("GET", "/v1/batches").json()["total"]
    where = urlsplit(api.url)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)) as connection:
        connection.putrequest("POST", BULK)
        for name, value in (NDJSON | {"Content-Length": str(MAX_BULK_BYTES + 1)}).items():
            connection.putheader(name, value)
        connection.putheader("Authorization", f"Bearer {ADMIN}")
        connection.endheaders()
        answer = connection.getresponse()
        problem = json.loads(answer.read())

    assert (answer.status, problem["code"], "batch" in problem) == (413, "body_too_large", False)
    assert api.ask("GET", "/v1/batches").json()["total"] == before


def test_body_that_grows_beyond_the_limit_is_stopped_and_what_came_stays(api: ServedApi) -> None:
    def growing() -> Iterator[bytes]:
        yield body(member())
        for _ in range(MAX_BULK_BYTES // 2**20 + 1):
            yield b" " * (2**20 - 1) + b"\n"

    answer = send(api, growing())

    batch = api.ask("GET", f"/v1/batches/{stopped(answer, 'body_too_large')}").json()
    assert (batch["complete"], batch["problem"]["code"], batch["states"]["received"]) == (True, "body_too_large", 1)


def cut_off(api: ServedApi, content: bytes, headers: dict[str, str], until: Callable[[], bool]) -> None:
    """Send the beginning of a body that is said to be longer, and hang up once that has had its effect."""
    where = urlsplit(api.url)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)) as connection:
        connection.putrequest("POST", BULK)
        for name, value in (NDJSON | headers | {"Content-Length": str(len(content) + 1000)}).items():
            connection.putheader(name, value)
        connection.putheader("Authorization", f"Bearer {ADMIN}")
        connection.endheaders()
        connection.send(content)
        for _ in range(1000):
            if until():
                return
            connection.sock.settimeout(0.02)
            try:
                connection.sock.recv(1)
            except TimeoutError:
                continue
    raise AssertionError("it had no effect")


def test_body_that_broke_off_goes_on_where_it_stopped(api: ServedApi) -> None:
    made, prefix = self_signed("web.example"), some()
    lines = [body(member(f"{prefix}-{number}", made)) for number in range(1200)]
    key = {"Idempotency-Key": some("key")}
    newest = api.ask("GET", "/v1/batches?limit=1").json()["total"]

    def first_lines_are_there() -> bool:
        page = api.ask("GET", "/v1/batches?limit=1").json()
        return bool(page["total"] > newest and page["batches"][0]["lines"] >= 500)

    cut_off(api, b"".join(lines[:700]), key, first_lines_are_there)
    [broken] = api.ask("GET", "/v1/batches?limit=1").json()["batches"]
    whole = told(send(api, b"".join(lines), key))
    again = told(send(api, b"".join(lines), key))

    assert broken["complete"] is False
    assert (whole["id"], whole["lines"], whole["complete"]) == (broken["id"], 1200, True)
    assert sum(whole["states"].values()) == 1200
    assert again == whole
    assert_problem(send(api, b"".join(lines[:1199]), key), 422, "idempotency_key_reused")
    assert_problem(send(api, b"".join([*lines, lines[0]]), key), 422, "idempotency_key_reused")
    assert_problem(send(api, b"".join([lines[1], *lines[1:]]), key), 422, "idempotency_key_reused")
    assert_problem(send(api, b"\n" * 1201 + lines[0], key), 422, "idempotency_key_reused")


def test_batch_that_was_stopped_is_stopped_again(api: ServedApi) -> None:
    content, key = body(member()) + b"{}\n" * (MAX_LINES + 1), {"Idempotency-Key": some("key")}

    first, second = (stopped(send(api, content, key), "bulk_too_long") for _ in range(2))

    assert first == second
    assert_problem(
        send(api, b"".join(content.splitlines(keepends=True)[:MAX_LINES]), key), 422, "idempotency_key_reused"
    )


def test_batches_of_others_are_not_there(api: ServedApi) -> None:
    domain = f"{some()}.example"
    path = f"/v1/tenants/{uuid.uuid4().int % 2**30 + 1}"
    assert api.ask("PUT", path, json={"domain": domain, "on_expiry": "keep"}).status_code == 201
    acting = {"Trustcast-Tenant": domain}

    batch = told(send(api, body(member()), acting))

    assert_problem(api.ask("GET", f"/v1/batches/{batch['id']}"), 404, "batch_not_found")
    assert api.ask("GET", f"/v1/batches/{batch['id']}", headers=acting).json() == batch
    assert api.ask("GET", "/v1/batches", headers=acting).json()["total"] == 1
    query = f"/v1/operations?batch={batch['id']}"
    assert api.ask("GET", query).json()["operations"] == []
    assert api.ask("GET", query, headers=acting).json()["total"] == 1


def test_operations_of_a_batch_are_found_with_their_warnings(api: ServedApi) -> None:
    alias, soon_over = some(), some()
    send(api, body(member()))
    batch = told(send(api, body(member(alias), b"{", member(soon_over, self_signed(f"{soon_over}.example", days=9)))))
    api.work()

    page = api.ask("GET", f"/v1/operations?batch={batch['id']}").json()
    second = api.ask("GET", f"/v1/operations?batch={batch['id']}&alias={alias}").json()

    assert ([one["alias"] for one in page["operations"]], page["total"]) == ([soon_over, alias], 2)
    assert "expires_soon" in [one["code"] for one in page["operations"][0]["warnings"]]
    assert [one["alias"] for one in second["operations"]] == [alias]


def test_private_key_in_a_line_is_told_and_in_the_audit_chain(api: ServedApi) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"

    batch = told(send(api, body(member("with-key", certificate=MADE.pem.decode() + key), member())))

    assert [(one["line"], one["alias"], one["code"]) for one in batch["problems"]] == [(1, "with-key", "private_key")]
    events = api.ask("GET", "/v1/audit", params={"action": "request.refused", "limit": 1000}).json()["events"]
    assert [one["facts"]["code"] for one in events if one["facts"].get("batch") == batch["id"]] == ["private_key"]
