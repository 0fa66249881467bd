"""Bad input: the answer names the field, a code and what to do; it never repeats what was sent."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.certificates import self_signed
from tests.integration.test_api_doors import TOLD, assert_problem
from tests.served_api import ADMIN, ServedApi, token
from trustcast_api.body_limit import MAX_BODY_BYTES

MARK = "zebra7391"  # whatever is sent carries it, no answer does
BOUNDARY = "here-it-ends"
PEM = self_signed("web.example").pem


def part(name: str, value: bytes, *, file: str | None = None, extra: str = "") -> bytes:
    filename = f'; filename="{file}"' if file else ""
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n{extra}\r\n'.encode()
        + value
        + b"\r\n"
    )


def send(
    api: ServedApi,
    *parts: bytes,
    content_type: str = "",
    end: bytes = b"",
    to: tuple[str, str] = ("POST", "/v1/certificates"),
) -> httpx.Response:
    """Send a multipart body as it is written here."""
    headers = {"Content-Type": content_type or f"multipart/form-data; boundary={BOUNDARY}"}
    body = b"".join(parts) + (end or f"--{BOUNDARY}--\r\n".encode())
    return api.ask(*to, content=body, headers=headers)


def upload(api: ServedApi, **fields: bytes) -> httpx.Response:
    given = {"alias": b"web", "endpoint": b"https://web.example", "certificate": PEM} | fields
    return send(api, *(part(name, value) for name, value in given.items()))


def fields_at_fault(body: dict[str, Any]) -> set[str]:
    return {one["field"] for one in body["errors"]}


def test_all_wrong_fields_are_named_at_once(api: ServedApi) -> None:
    answer = upload(
        api,
        alias=f"-{MARK} ".encode(),
        endpoint=f"gopher://{MARK}".encode(),
        certificate=MARK.encode(),
        ca=MARK.encode(),
    )

    body = assert_problem(answer, 400, "invalid_request")
    assert fields_at_fault(body) == {"alias", "endpoint", "certificate", "ca"}
    assert MARK not in answer.text


def test_all_missing_fields_are_named_at_once(api: ServedApi) -> None:
    body = assert_problem(send(api), 400, "invalid_request")

    assert fields_at_fault(body) == {"alias", "endpoint", "certificate"}
    assert {one["code"] for one in body["errors"]} == {"field_missing"}


@pytest.mark.parametrize(
    "value",
    [
        f"web {MARK}",
        f"../{MARK}",
        f"web\0{MARK}",
        f"web\n{MARK}",
        f"wеb{MARK}",  # noqa: RUF001 - a Cyrillic letter is the point
        f"web\u200b{MARK}",
        MARK * 40,
        "",
    ],
    ids=["space", "path", "nul", "newline", "cyrillic", "zero width", "long", "empty"],
)
def test_illegal_alias_is_refused(api: ServedApi, value: str) -> None:
    answer = upload(api, alias=value.encode())

    body = assert_problem(answer, 400, "alias_invalid")
    assert fields_at_fault(body) == {"alias"}
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "value",
    [
        f"ftp://{MARK}.example",
        f"https://user:{MARK}@web.example",
        f"https://{MARK}\0.example",
        f"https://{MARK}.example:99999",
        MARK,
        "",
        f"https://{'a' * 70}.{MARK}.example",
        f"https://[::{MARK}]",
    ],
)
def test_illegal_endpoint_is_refused(api: ServedApi, value: str) -> None:
    answer = upload(api, endpoint=value.encode())

    assert answer.status_code == 400
    assert fields_at_fault(answer.json()) == {"endpoint"}
    assert MARK not in answer.text


@pytest.mark.parametrize("to", [("PUT", "/v1/certificates/web"), ("POST", "/v1/certificates/web/rotation")])
def test_successor_is_read_as_strictly(api: ServedApi, to: tuple[str, str]) -> None:
    wrong = send(api, part("certificate", MARK.encode()), part("ca", b"yes"), part("accept_expired", b"1"), to=to)
    missing = send(api, to=to)
    unknown = send(api, part("alias", MARK.encode()), to=to)
    repeated = send(api, part("ca", b"true"), part("ca", b"true"), to=to)
    other = api.ask(*to, json={"certificate": MARK})

    assert fields_at_fault(assert_problem(wrong, 400, "invalid_request")) == {"certificate", "ca", "accept_expired"}
    assert fields_at_fault(assert_problem(missing, 400, "field_missing")) == {"certificate"}
    assert fields_at_fault(assert_problem(unknown, 400, "field_unknown")) == {"alias"}
    assert fields_at_fault(assert_problem(repeated, 400, "field_repeated")) == {"ca"}
    assert_problem(other, 415, "content_type")
    assert not any(MARK in answer.text for answer in (wrong, missing, unknown, repeated, other))


@pytest.mark.parametrize("name", ["password", MARK, "Alias", "", "ca\0"])
def test_unknown_field_is_refused(api: ServedApi, name: str) -> None:
    answer = send(api, part("alias", b"web"), part(name, MARK.encode()))

    assert answer.status_code == 400
    assert MARK not in answer.text


@pytest.mark.parametrize("name", ["alias", "endpoint", "certificate", "ca"])
def test_field_that_comes_twice_is_refused(api: ServedApi, name: str) -> None:
    answer = send(api, part(name, b"true"), part(name, MARK.encode()))

    body = assert_problem(answer, 400, "field_repeated")
    assert fields_at_fault(body) == {name}
    assert MARK not in answer.text


def test_text_field_that_comes_as_a_file_is_refused(api: ServedApi) -> None:
    answer = send(api, part("alias", MARK.encode(), file=MARK), part("certificate", PEM))

    body = assert_problem(answer, 400, "field_invalid")
    assert fields_at_fault(body) == {"alias"}
    assert MARK not in answer.text


def test_certificate_may_come_as_a_file_or_as_text(fresh_api: ServedApi) -> None:
    for number, file in enumerate((None, "backend.pem")):
        parts = [
            part("alias", f"web-{number}".encode()),
            part("endpoint", b"https://web.example"),
            part("certificate", PEM, file=file),
        ]
        assert send(fresh_api, *parts).status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/mixed; boundary=here-it-ends",
        MARK,
    ],
)
def test_body_of_another_kind_is_refused(api: ServedApi, content_type: str) -> None:
    answer = send(api, content_type=content_type)

    assert_problem(answer, 415, "content_type")
    assert MARK not in answer.text


def test_missing_content_type_is_refused(api: ServedApi) -> None:
    assert_problem(api.ask("POST", "/v1/certificates"), 415, "content_type")


def test_media_type_is_compared_without_case(api: ServedApi) -> None:
    answer = send(api, content_type=f"Multipart/Form-Data; boundary={BOUNDARY}")

    assert_problem(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        MARK.encode(),
        b"--here-it-ends",
        f"--here-it-ends\r\n{MARK}\r\n--here-it-ends--".encode(),
        f'--here-it-ends\r\nContent-Disposition: form-data; name="alias"\r\n\r\n{MARK}'.encode(),
        f"--here-it-ends\r\nContent-Disposition: {MARK}\r\n\r\nx\r\n--here-it-ends--\r\n".encode(),
        b"\0\xff" * 500,
    ],
    ids=["empty", "text", "cut", "no header", "no end", "odd disposition", "binary"],
)
def test_broken_multipart_is_refused(api: ServedApi, body: bytes) -> None:
    answer = send(api, end=body or b"\r\n")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert MARK not in answer.text


@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary="', "; boundary=" + "x" * 2000])
def test_multipart_without_a_usable_boundary_is_refused(api: ServedApi, boundary: str) -> None:
    answer = send(api, content_type=f"multipart/form-data{boundary}")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "charset", ["utf-7", "undefined", "idna", "utf-16", "zip", "nonsense", "unicode_escape", "rot13"]
)
def test_odd_charset_is_no_way_past_the_door(api: ServedApi, charset: str) -> None:
    content_type = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"

    odd = b"https://+2AA-\\ud800xn--\xff"

    answer = send(api, part("alias", odd), part("endpoint", odd), part("certificate", odd), content_type=content_type)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_more_parts_than_a_form_has_are_refused(api: ServedApi) -> None:
    answer = send(api, *(part(f"{MARK}-{number}", b"") for number in range(50)))

    assert answer.status_code == 400
    assert MARK not in answer.text


@pytest.mark.parametrize("path", ["/v1/certificates", "/v1/gateways/g1/reports"])
def test_body_over_the_limit_is_refused(api: ServedApi, path: str) -> None:
    who = ADMIN if path.endswith("certificates") else token("g1")
    kind = f"multipart/form-data; boundary={BOUNDARY}" if who == ADMIN else "application/json"
    body = part("certificate", MARK.encode() * (MAX_BODY_BYTES // len(MARK) + 1), file="x")

    answer = api.ask("POST", path, as_=who, content=body, headers={"Content-Type": kind})

    assert_problem(answer, 413, "body_too_large")
    assert MARK not in answer.text


def test_limit_counts_what_comes_not_what_is_promised(api: ServedApi) -> None:
    """A chunked body has no Content-Length at all, and never ends here: the answer comes before its end."""
    where = urlsplit(api.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    connection.putrequest("POST", "/v1/certificates")
    for name, value in (
        ("Authorization", f"Bearer {ADMIN}"),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
        ("Transfer-Encoding", "chunked"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(chunk(part("certificate", b"x", file="x")[:-2]))
    for _ in range(MAX_BODY_BYTES // 65536 + 1):
        connection.send(chunk(b"x" * 65536))

    answer = connection.getresponse()

    assert (answer.status, json.loads(answer.read())["code"]) == (413, "body_too_large")
    connection.close()


def test_body_that_is_shorter_than_promised_holds_nobody_up(api: ServedApi) -> None:
    where = urlsplit(api.url)
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        head = (
            f"POST /v1/certificates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 9999999999\r\n\r\n"
        )
        connection.sendall(head.encode() + part("alias", b"web"))

    assert api.ask("GET", "/healthz").status_code == 200


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ODD_NAMES = ["\0", "a\0b", "a\nb", "\x7f", "a" * 300, "%", "é", "'", '"; DROP TABLE operation; --', "\u202e", "😀"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/certificates/{}"),
        ("GET", "/v1/certificates/{}/content"),
        ("GET", "/v1/certificates/{}/usage"),
        ("GET", "/v1/certificates/{}/rotation"),
        ("DELETE", "/v1/certificates/{}"),
        ("POST", "/v1/certificates/{}/rotation/finish"),
        ("POST", "/v1/certificates/{}/rotation/cancel"),
        ("GET", "/v1/operations/{}"),
        ("GET", "/v1/environments/{}/truststore"),
        ("GET", "/v1/environments/{}/changes"),
    ],
)
def test_odd_name_in_a_path_is_not_found_or_refused(api: ServedApi, method: str, path: str, name: str) -> None:
    answer = api.ask(method, path.format(quote(name + MARK, safe="")))

    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"
    assert MARK not in answer.text


@pytest.mark.parametrize("path", ["/v1/certificates/%ff%fe", "/v1/certificates/%", "/v1/environments/%c0%80/changes"])
def test_path_that_is_no_text_is_not_found_or_refused(api: ServedApi, path: str) -> None:
    assert api.ask("GET", path).status_code in {400, 404}


@pytest.mark.parametrize(
    "query",
    [
        f"limit={MARK}",
        "limit=0",
        "limit=1001",
        "offset=-1",
        "offset=99999999999999999999",
        f"status={MARK}",
        f"expires_before={MARK}",
        "expires_before=2026-99-99T00:00:00Z",
        f"endpoint=gopher://{MARK}",
        f"alias=%00{MARK}",
        f"alias_contains=%00{MARK}",
        f"sort={MARK}",
        "sort=alias,endpoint",
        "limit=1e3",
    ],
)
def test_wrong_filter_is_refused_and_named(api: ServedApi, query: str) -> None:
    answer = api.ask("GET", f"/v1/certificates?{query}")

    assert answer.status_code == 400
    assert fields_at_fault(answer.json()) == {query.partition("=")[0]}
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-11-23T12:00:00", "2026-11-23", "0", "1e18"],
)
def test_moment_at_the_edge_of_time_is_no_crash(api: ServedApi, moment: str) -> None:
    assert api.ask("GET", f"/v1/certificates?expires_before={moment}").status_code in {200, 400}


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=9223372036854775808", "wait=61", "wait=-1", "wait=x"])
def test_wrong_question_for_changes_is_refused_and_named(api: ServedApi, query: str) -> None:
    body = assert_problem(api.ask("GET", f"/v1/environments/default/changes?{query}"), 400, "invalid_request")

    assert fields_at_fault(body) == {query.partition("=")[0]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"generation": -1}, "generation"),
        ({"generation": 2**63}, "generation"),
        ({"generation": MARK}, "generation"),
        ({"entries_sha256": MARK}, "entries_sha256"),
        ({"entries_sha256": "E" * 64}, "entries_sha256"),
        ({"phase": MARK}, "phase"),
        ({"code": f"{MARK} \0"}, "code"),
        ({"detail": f"{MARK}\0"}, "detail"),
        ({"detail": MARK * 1000}, "detail"),
        ({"detail": f"{MARK}\ud800"}, "detail"),
        ({"environment": f"{MARK}\0"}, "environment"),
        ({"environment": None}, "environment"),
    ],
)
def test_wrong_report_is_refused_and_named(api: ServedApi, change: dict[str, Any], field: str) -> None:
    answer = report(api, json.dumps(TOLD | change).encode())

    assert fields_at_fault(assert_problem(answer, 400, "invalid_request")) == {field}
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", MARK.encode(), b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"generation":1e400}', b"NaN"],
    ids=["empty", "cut", "text", "list", "null", "string", "binary", "deep", "huge", "nan"],
)
def test_report_that_is_no_report_is_refused(api: ServedApi, body: bytes) -> None:
    answer = report(api, body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert MARK not in answer.text


API = {"name": "api", "version": "1", "context": "/api", "provider": "admin", "type": "HTTP/REST"}


def report(api: ServedApi, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return api.ask("POST", "/v1/gateways/g1/reports", as_=token("g1"), content=body, headers=headers)


@pytest.mark.parametrize("key", ["", "k" * 256], ids=["empty", "long"])
def test_unusable_idempotency_key_is_refused_and_named(api: ServedApi, key: str) -> None:
    answer = api.upload("web", self_signed("web.example"), headers={"Idempotency-Key": key})

    assert fields_at_fault(assert_problem(answer, 400, "invalid_request")) == {"Idempotency-Key"}


@pytest.mark.parametrize(("name", "values"), [("Idempotency-Key", ("k1", "k2")), ("If-Match", ("*", f'"{"0" * 64}"'))])
@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/certificates/web"), ("PUT", "/v1/certificates/web")])
def test_header_that_comes_twice_is_refused(
    api: ServedApi, method: str, path: str, name: str, values: tuple[str, str]
) -> None:
    files = {"certificate": self_signed("web.example").pem} if method == "PUT" else None

    answer = api.ask(method, path, headers=[(name, one) for one in values], files=files)

    assert fields_at_fault(assert_problem(answer, 400, "field_repeated")) == {name}


STEERING = ["\x80", "\x9b2J", "\x9f", "\u200e", "\u200f", "\u202a", "\u202egnp", "\u2066", "\u2069", "\x7f"]


@pytest.mark.parametrize("text", STEERING)
def test_text_that_steers_a_terminal_or_turns_the_direction_is_refused_and_named(api: ServedApi, text: str) -> None:
    named = API | {"name": f"web{text}"}
    told = {"type": "sandbox", "description": f"web{text}"}

    answers = [api.ask("POST", "/v1/apis", json=named), api.ask("PUT", "/v1/environments/other", json=told)]

    faults = [assert_problem(answer, 400, "invalid_request")["errors"] for answer in answers]
    assert [(one["field"], "direction of writing" in one["detail"]) for (one,) in faults] == [
        ("name", True),
        ("description", True),
    ]


@pytest.mark.parametrize(
    ("name", "named"), [("type", "type"), ("name", "name"), ("endpoints", "endpoints"), (MARK, None)]
)
@pytest.mark.parametrize("half", ["\ud800", ["https://x.example", "\udfff"], {"\ud800": 1}])
def test_half_of_a_surrogate_pair_is_refused_and_named(api: ServedApi, name: str, named: str | None, half: Any) -> None:
    body = json.dumps(API | {name: half})  # httpx cannot write it

    answer = api.ask("POST", "/v1/apis", content=body, headers={"Content-Type": "application/json"})

    assert fields_at_fault(assert_problem(answer, 400, "invalid_request")) == {named}
    assert MARK not in answer.text


@pytest.mark.parametrize("password", [None, "", "short"])
def test_truststore_file_needs_a_password_and_says_so(api: ServedApi, password: str | None) -> None:
    headers = {} if password is None else {"Truststore-Password": password}

    answer = api.ask("GET", "/v1/environments/default/truststore.jks", headers=headers)

    assert fields_at_fault(assert_problem(answer, 400, "truststore_password")) == {"Truststore-Password"}
