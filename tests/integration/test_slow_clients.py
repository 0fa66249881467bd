"""Clients that are slow, lie about their length or never end: each is sent away, and nobody else notices."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.certificates import self_signed
from tests.databases import SqliteFiles
from tests.integration.test_bulk import body, member
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, ServedApi, add_environment, served
from trustcast_api.bounded_head import MAX_HEAD_BYTES, MAX_HEADS_BYTES, BoundedHead

PATIENCE = 0.5
SOON = 5.0
TURN, HELD, KEPT = 1.0, 400_500, 200_000
CERTIFICATES, BULK = "/v1/certificates", "/v1/certificates/bulk"
FORM, NDJSON = "multipart/form-data; boundary=x", "application/x-ndjson"
BEGINNING = {
    FORM: b'--x\r\nContent-Disposition: form-data; name="alias"\r\n\r\nx',
    NDJSON: b"{}\n",
    "application/json": b"{",
}


class Impatient(BoundedHead):
    """Waits as the api does, but not as long."""

    head_seconds = PATIENCE
    linger_seconds = PATIENCE


@pytest.fixture(scope="module")
def api(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[ServedApi]:
    folder = tmp_path_factory.mktemp("slow")
    url = sqlite_files.fresh(folder)
    add_environment(url, "other")
    hasty = {"patience": PATIENCE, "turn": PATIENCE / 3}
    with served(folder, url, redis_server.url, patience=hasty, http=Impatient) as running:
        yield running


@pytest.fixture(scope="module")
def patient_api(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[ServedApi]:
    """Sends nobody away for being slow alone, and has little room."""
    folder = tmp_path_factory.mktemp("patient")
    url = sqlite_files.fresh(folder)
    add_environment(url, "other")
    with served(folder, url, redis_server.url, patience={"patience": 60.0, "turn": TURN, "most_held": HELD}) as running:
        yield running


def connected(api: ServedApi) -> socket.socket:
    where = urlsplit(api.url)
    connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=SOON)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(path: str, kind: str, *more: str, token: str | None = ADMIN) -> bytes:
    who = [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", *who, *more, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What the api says until it hangs up, which it has to do soon."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def answered(connection: socket.socket) -> tuple[int, str, bytes]:
    """Status, code and head of the one answer, at the end of which the api hangs up."""
    said = everything(connection)
    first, _, content = said.partition(b"\r\n\r\n")
    [status] = statuses(said)
    return status, json.loads(content)["code"], first


@pytest.mark.parametrize(("path", "kind"), [(CERTIFICATES, FORM), (BULK, NDJSON), ("/v1/apis", "application/json")])
@pytest.mark.parametrize("length", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
def test_body_whose_end_does_not_come_is_ended(api: ServedApi, path: str, kind: str, length: str) -> None:
    with closing(connected(api)) as connection:
        begun = BEGINNING[kind]
        connection.sendall(head(path, kind, length) + (chunk(begun) if "chunked" in length else begun))

        status, code, first = answered(connection)

    assert (status, code) == (408, "body_too_slow")
    assert b"connection: close" in first.lower()


@pytest.mark.parametrize(("path", "kind"), [(CERTIFICATES, FORM), (BULK, NDJSON)])
def test_body_that_trickles_is_ended(api: ServedApi, path: str, kind: str) -> None:
    """No pause is long, yet in this way a request would last for hours."""
    began = time.monotonic()
    with closing(connected(api)) as connection:
        connection.sendall(head(path, kind, "Content-Length: 5000") + BEGINNING[kind])
        connection.settimeout(0.05)
        said = b""
        while not said and time.monotonic() < began + SOON:
            connection.sendall(b"x")
            try:
                said = connection.recv(65536)
            except TimeoutError:
                continue

    assert statuses(said) == [408]


def test_slow_bulk_names_what_was_taken(api: ServedApi) -> None:
    """A megabyte was taken; whoever goes on with the same key loses nothing."""
    key = "Idempotency-Key: slow"
    lines = [body(member(f"slow-{number}")) for number in range(520)]
    with closing(connected(api)) as connection:
        connection.sendall(head(BULK, NDJSON, key, "Content-Length: 9000000") + b"".join(lines))
        said = everything(connection)

    problem = json.loads(said.partition(b"\r\n\r\n")[2])
    batch = api.ask("GET", f"/v1/batches/{problem['batch']}").json()
    headers = {"Idempotency-Key": "slow", "Content-Type": NDJSON}
    whole = api.ask("POST", BULK, content=b"".join(lines), headers=headers).json()
    assert (batch["complete"], batch["lines"] >= 500) == (False, True)
    assert (whole["id"], whole["complete"], whole["states"]["received"]) == (batch["id"], True, 520)
    assert "The lines that were taken go on" in problem["detail"]


def test_slow_bulk_of_which_nothing_was_taken_says_so(api: ServedApi) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(head(BULK, NDJSON, "Content-Length: 5000") + body(member("slow")))
        said = everything(connection)

    problem = json.loads(said.partition(b"\r\n\r\n")[2])
    assert (problem["code"], problem.get("batch")) == ("body_too_slow", None)
    assert "No line of it was taken" in problem["detail"]


@pytest.mark.parametrize("beginning", [b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost:", b"\r\n"])
def test_head_whose_end_does_not_come_is_ended(api: ServedApi, beginning: bytes) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(beginning)

        said = everything(connection)

    assert statuses(said) == [408]


def test_head_that_trickles_is_ended(api: ServedApi) -> None:
    began, said = time.monotonic(), b""
    with closing(connected(api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        connection.settimeout(0.05)
        while not said and time.monotonic() < began + SOON:
            connection.sendall(b"x")
            try:
                said = connection.recv(65536)
            except TimeoutError:
                continue

    assert statuses(said) == [408]


def test_who_says_nothing_is_told_nothing(api: ServedApi) -> None:
    with closing(connected(api)) as connection:
        assert everything(connection) == b""


def test_second_head_on_a_connection_has_to_come_in_time_too(api: ServedApi) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")

        assert statuses(everything(connection)) == [200, 408]


def test_line_breaks_hold_no_connection_open(api: ServedApi) -> None:
    with closing(connected(api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        first = connection.recv(65536)
        connection.sendall(b"\r\n")

        assert (statuses(first), statuses(everything(connection))) == ([200], [408])


def test_patience_of_a_head_is_not_for_answers_and_kept_connections(api: ServedApi) -> None:
    """A gateway waits for news longer than any head may take, and asks again on the same connection."""
    who = f"Host: x\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
    ask = f"GET /v1/environments/default/changes?after=0&wait=1 HTTP/1.1\r\n{who}"
    with closing(connected(api)) as connection:
        connection.sendall(ask.encode())
        first = connection.recv(65536)
        time.sleep(PATIENCE * 1.5)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        second = everything(connection)

    assert (statuses(first), statuses(second)) == ([200], [200])


@pytest.mark.parametrize("token", [ADMIN, None], ids=["administrator", "nobody"])
def test_body_that_nobody_reads_does_not_go_on_for_ever(api: ServedApi, token: str | None) -> None:
    """The answer comes, what is sent meanwhile is dropped, and then the api hangs up."""
    began = time.monotonic()
    with closing(connected(api)) as connection:
        connection.sendall(head(CERTIFICATES, FORM, "Transfer-Encoding: chunked", token=token))
        try:
            while time.monotonic() < began + SOON:
                connection.sendall(chunk(b"x" * 65536))
                time.sleep(0.001)
        except (BrokenPipeError, ConnectionResetError):
            pass
        lasted = time.monotonic() - began

    assert lasted < SOON


def test_rest_of_a_body_is_nobodys_request(api: ServedApi) -> None:
    """What comes behind the stated length is another request (RFC 9112, 9.3.2), and has to say itself who asks."""
    rest = b"GET /v1/certificates HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with closing(connected(api)) as connection:
        connection.sendall(head(CERTIFICATES, FORM, "Content-Length: 5") + b"--x\r\n" + rest)

        assert statuses(everything(connection)) == [400, 401]


@pytest.mark.parametrize(
    "lengths",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 6",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 99999999999999999999999",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
    ],
)
def test_length_that_can_be_read_in_two_ways_is_refused(api: ServedApi, lengths: tuple[str, ...]) -> None:
    """Or what stands before us could see other requests on this connection than we do."""
    rest = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(connected(api)) as connection:
        connection.sendall(head(CERTIFICATES, FORM, *lengths) + b"0\r\n\r\n" + rest)

        assert set(statuses(everything(connection))) == {400}


def test_what_comes_behind_a_last_request_is_no_request(api: ServedApi) -> None:
    rest = f"GET /v1/certificates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\r\n".encode()
    with closing(connected(api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + rest)

        assert statuses(everything(connection)) == [200]


def test_no_more_bulks_are_read_at_once_than_there_are_places(api: ServedApi) -> None:
    slow = []
    for number in range(4):
        connection = connected(api)
        connection.sendall(head(BULK, NDJSON, "Content-Length: 500000", f"Idempotency-Key: {number}") + b" " * 1000)
        slow.append(connection)
    time.sleep(0.1)

    refused = api.ask("POST", BULK, content=body(member()), headers={"Content-Type": NDJSON})
    usual = api.ask("GET", "/v1/certificates")
    for connection in slow:
        connection.close()
    time.sleep(0.1)
    later = api.ask("POST", BULK, content=body(member()), headers={"Content-Type": NDJSON})

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_at_once")
    assert "retry-after" in refused.headers
    assert (usual.status_code, later.status_code) == (200, 202)


def test_others_are_served_while_many_are_slow(api: ServedApi) -> None:
    slow = [connected(api) for _ in range(100)]
    for connection in slow:
        connection.sendall(head(CERTIFICATES, FORM, "Content-Length: 200000") + BEGINNING[FORM] + b"x" * 1000)

    began = time.monotonic()
    found = api.ask("GET", "/v1/certificates").status_code
    lasted = time.monotonic() - began
    ended = {statuses(everything(connection))[0] for connection in slow}
    for connection in slow:
        connection.close()

    assert (found, lasted < 1, ended) == (200, True, {408})


def test_all_that_waits_for_its_end_keeps_no_more_memory_busy_than_is_meant_for_it(patient_api: ServedApi) -> None:
    """Only as many are still waited for as fit, and those are the last: whoever kept most for longest made room."""
    slow = [begun(patient_api, CERTIFICATES, FORM, BEGINNING[FORM] + b"x" * KEPT) for _ in range(8)]

    ended = [ends(connection) for connection in slow]
    for connection in slow:
        connection.close()

    fitting = HELD // KEPT
    assert ended == [[408]] * (len(slow) - fitting) + [[]] * fitting


def test_whole_upload_is_taken_however_many_others_do_not_end(patient_api: ServedApi) -> None:
    slow = [begun(patient_api, CERTIFICATES, FORM, BEGINNING[FORM] + b"x" * KEPT) for _ in range(HELD // KEPT)]

    taken = [patient_api.upload(f"whole-{number}", self_signed("whole.example")).status_code for number in range(3)]
    ended = [ends(connection) for connection in slow]
    for connection in slow:
        connection.close()

    assert (taken, ended) == ([202] * 3, [[408], []])


def test_one_tenant_takes_no_more_than_half_of_the_places_for_bulks(patient_api: ServedApi) -> None:
    slow = [begun(patient_api, BULK, NDJSON, b" ") for _ in range(8)]
    add_tenant(patient_api, "theirs.example")

    began = time.monotonic()
    theirs = bulk(patient_api, "Trustcast-Tenant: theirs.example")
    lasted = time.monotonic() - began
    for connection in slow:
        connection.close()

    assert (theirs, lasted < TURN) == ([202], True)


def test_slow_bulk_gives_its_place_to_who_waits(patient_api: ServedApi) -> None:
    """The slower one does: the other is as slow only until somebody waits."""
    slow, quick = (begun(patient_api, BULK, NDJSON, body(member(name))) for name in ("slow", "quick"))
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(bulk, patient_api)
        while not waiting.done():
            quick.sendall(chunk(b" " * 16384 + b"\n"))
            time.sleep(0.01)
    quick.sendall(b"0\r\n\r\n")
    ended = [ends(slow), statuses(quick.recv(65536))]
    slow.close()
    quick.close()

    assert (waiting.result(), ended) == ([202], [[408], [202]])


def test_all_heads_keep_no_more_memory_busy_than_is_meant_for_them(patient_api: ServedApi) -> None:
    slow = [begun_head(patient_api, 1_000_000) for _ in range(20)]

    ended = [statuses(everything(connection)) for connection in slow[:12]]
    kept, still_open = BoundedHead.kept, [ends(connection) for connection in slow[12:]]
    for connection in slow:
        connection.close()

    assert kept <= MAX_HEADS_BYTES
    assert (ended, still_open) == ([[408]] * 12, [[]] * 8)


def test_who_sends_a_head_in_two_parts_is_answered_however_many_heads_do_not_end(patient_api: ServedApi) -> None:
    slow = [begun_head(patient_api, MAX_HEAD_BYTES - 50) for _ in range(4)]
    with closing(connected(patient_api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nX: " + b"x" * 1000)
        time.sleep(0.05)
        connection.sendall(b"\r\nHost: x\r\n\r\n")
        said = everything(connection)
    ended = [ends(connection) for connection in slow]
    for connection in slow:
        connection.close()

    assert (statuses(said), ended) == ([200], [[408], [], [], []])


def begun(api: ServedApi, path: str, kind: str, beginning: bytes) -> socket.socket:
    """A request whose body has begun, a moment ago."""
    connection = connected(api)
    connection.sendall(head(path, kind, "Transfer-Encoding: chunked") + chunk(beginning))
    time.sleep(0.1)
    return connection


def begun_head(api: ServedApi, size: int) -> socket.socket:
    """A request of whose head so many bytes are kept, and no end has come."""
    kept, connection = BoundedHead.kept, connected(api)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * size)
    until = time.monotonic() + SOON
    while BoundedHead.kept < min(kept + size, MAX_HEADS_BYTES - size) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    return connection


def ends(connection: socket.socket) -> list[int]:
    """The answer, if one comes very soon: who was dropped has been told already."""
    connection.settimeout(0.05)
    try:
        return statuses(connection.recv(65536))
    except TimeoutError:
        return []


def bulk(api: ServedApi, *more: str) -> list[int]:
    """Send a bulk of one line, and say how it was answered."""
    content = body(member())
    with closing(connected(api)) as connection:
        length = f"Content-Length: {len(content)}"
        connection.sendall(head(BULK, NDJSON, length, "Connection: close", *more) + content)
        return statuses(everything(connection))


def add_tenant(api: ServedApi, domain: str) -> None:
    assert api.ask("PUT", "/v1/tenants/7", json={"domain": domain}).is_success
