"""How the listener speaks to the api, and what it does not take from it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
import zlib

import httpx
import pytest

from tests.stated_api import Answer, StatedApi, der
from trustcast.domain.errors import TrustcastError
from trustcast_gateway.distribution import ApiUnavailable, Distribution, Put, Remove, Report, connect

REPORT = Report("default", 1, "0" * 64, "installed")
NOTHING: Answer = {"head": None, "after": 0, "changes": []}


def answering(status: int, body: bytes = b"", *, gzipped: bool = False, most_bytes: int = 10**6) -> Distribution:
    headers = {"Content-Encoding": "gzip"} if gzipped else {}

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)

    client = httpx.Client(base_url="http://api", transport=httpx.MockTransport(handle))
    return Distribution(client, gateway="gateway-1", environment="default", most_bytes=most_bytes)


def of(client: httpx.Client) -> Distribution:
    return Distribution(client, gateway="gateway-1", environment="default")


def test_changes_come_over_http_with_the_token_and_compressed() -> None:
    api = StatedApi()
    seen: list[httpx.Headers] = []
    api.put("a", der(1))
    api.put("b", der(2))
    with api.served() as url, connect(url, token="secret") as client:
        client.event_hooks["request"].append(lambda request: seen.append(request.headers))
        changes = of(client).changes(0)
        of(client).report(REPORT)

    assert [(c.alias, c.certificate) for c in changes.changes if isinstance(c, Put)] == [("a", der(1)), ("b", der(2))]
    assert (seen[0]["authorization"], seen[0]["accept-encoding"]) == ("Bearer secret", "gzip")
    assert api.reports[0]["phase"] == "installed"


def test_names_with_spaces_stand_in_the_path_as_the_api_reads_them() -> None:
    api = StatedApi(environment="Production and Sandbox")
    with api.served() as url, connect(url, token="secret") as client:
        distribution = Distribution(client, gateway="gateway 1/a", environment="Production and Sandbox")
        distribution.changes(0)
        distribution.report(REPORT)

    assert api.requests == [
        "GET /v1/environments/Production%20and%20Sandbox/changes?after=0",
        "POST /v1/gateways/gateway%201%2Fa/reports",
    ]


def test_removal_is_read() -> None:
    body = json.dumps({**NOTHING, "changes": [{"change": "remove", "alias": "a"}]}).encode()

    assert answering(200, body).changes(0).changes == [Remove(change="remove", alias="a")]


def test_field_that_we_do_not_know_is_no_reason_to_stop() -> None:
    body = json.dumps({**NOTHING, "hints": 1}).encode()

    assert answering(200, body).changes(0).changes == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"head": null, "after": "0a", "changes": []}',
        b'{"head": null, "after": 0, "changes": [{"change": "put", "alias": "a"}]}',
        b'{"head": null, "after": 0, "changes": [{"change": "put", "alias": "a", "certificate": "%%%"}]}',
        b'{"head": null, "after": 0, "changes": [{"change": "trust", "alias": "a"}]}',
        b"[" * 100_000,
    ],
)
def test_answer_in_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(TrustcastError) as refused:
        answering(200, body).changes(0)

    assert refused.value.code == "answer_malformed"


def test_answer_that_is_no_gzip_is_refused() -> None:
    with pytest.raises(TrustcastError) as refused:
        answering(200, b"no gzip", gzipped=True).changes(0)

    assert refused.value.code == "answer_malformed"


@pytest.mark.parametrize("gzipped", [False, True])
def test_answer_is_counted_as_it_is_inflated(*, gzipped: bool) -> None:
    """A megabyte of zeros is a kilobyte of gzip."""
    body = b"0" * 1_000_000

    with pytest.raises(TrustcastError) as refused:
        answering(200, gzip.compress(body) if gzipped else body, gzipped=gzipped, most_bytes=300_000).changes(0)

    assert refused.value.code == "answer_too_large"


def test_bomb_is_not_inflated_beyond_what_is_counted() -> None:
    """The compressed bytes come in one piece that would be 200 MB."""
    deflate = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(deflate.compress(bytes(1_000_000)) for _ in range(200)), deflate.flush()])
    tracemalloc.start()

    with pytest.raises(TrustcastError) as refused:
        answering(200, bomb, gzipped=True).changes(0)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "answer_too_large"
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "api_refused"), (403, "api_refused"), (404, "api_failed"), (302, "api_failed"), (503, "api_failed")],
)
def test_status_that_is_no_answer_is_unavailable(status: int, code: str) -> None:
    with pytest.raises(ApiUnavailable) as asked:
        answering(status).changes(0)
    with pytest.raises(ApiUnavailable) as told:
        answering(status).report(REPORT)

    assert (asked.value.code, told.value.code) == (code, code)


def test_redirect_is_not_followed() -> None:
    """It could lead the token elsewhere."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"Location": "http://elsewhere/"}, stream=httpx.ByteStream(b""))

    with connect("http://api", token="secret", transport=httpx.MockTransport(handle)) as client:
        with pytest.raises(ApiUnavailable):
            of(client).changes(0)
        with pytest.raises(ApiUnavailable):
            of(client).report(REPORT)

    assert seen == ["api", "api"]


def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    api = StatedApi()
    with api.served() as url, connect(url, token="secret") as client:
        of(client).changes(0)

    assert api.asked_after == [0]


def test_nobody_listening_is_unavailable() -> None:
    with connect("http://127.0.0.1:1", token="secret") as client, pytest.raises(ApiUnavailable) as away:
        of(client).changes(0)

    assert away.value.code == "api_unreachable"


def test_connection_that_the_api_closed_while_idle_is_opened_again() -> None:
    """The server answers one request per connection and closes it only when the next request arrives."""
    body = json.dumps(NOTHING).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with connect(f"http://127.0.0.1:{listener.getsockname()[1]}", token="secret") as client:
            asked = [of(client).changes(0) for _ in range(2)]
        thread.join(5)

    assert [changes.head for changes in asked] == [None, None]
