"""Hints arrive from Redis, or from anything that behaves like it; the same tests for a fake and a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import fakeredis
import pytest
import redis
import structlog

from tests.redis_server import RedisServer
from trustcast import broker
from trustcast.domain.messages import OperationAccepted, TruststoreChanged, encode
from trustcast_gateway import hints

CHANNEL = "trustcast:changes:default"
Connect = Callable[[], redis.Redis]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["fake", "real"])
def connect(request: pytest.FixtureRequest) -> Connect:
    if request.param == "fake":
        fake = fakeredis.FakeServer()
        return lambda: fakeredis.FakeRedis(server=fake)
    server: RedisServer = request.getfixturevalue("server")
    return lambda: hints.connect(server.url)


class Ears:
    """What was heard so far."""

    def __init__(self) -> None:
        self.heard: list[int | None] = []

    def hear(self, generation: int | None) -> None:
        self.heard.append(generation)

    def wait_for(self, *expected: int | None, seconds: float = 5) -> None:
        until = time.monotonic() + seconds
        while self.heard != list(expected):
            assert time.monotonic() < until, f"heard {self.heard}"
            time.sleep(0.005)


@contextmanager
def listening(client: redis.Redis, environment: str = "default") -> Iterator[Ears]:
    ears, stop = Ears(), threading.Event()
    thread = threading.Thread(target=hints.Hints(client, environment, ears.hear).listen, args=(stop,), daemon=True)
    thread.start()
    try:
        yield ears
    finally:
        stop.set()
        thread.join(3)
        assert not thread.is_alive()
        client.close()


def changed(generation: int, environment: str = "default") -> str:
    return encode(TruststoreChanged(environment, generation), id="1", source="worker", at=datetime.now(UTC))


def publish(connect: Connect, *messages: str | bytes) -> None:
    with connect() as client:
        for message in messages:
            client.publish(CHANNEL, message)


def test_connection_is_a_hint_because_messages_may_have_been_missed(connect: Connect) -> None:
    with listening(connect()) as ears:
        ears.wait_for(None)


def test_message_is_a_hint_with_the_generation_it_claims(connect: Connect) -> None:
    with listening(connect()) as ears:
        ears.wait_for(None)
        publish(connect, changed(3), changed(4))
        ears.wait_for(None, 3, 4)


def test_message_that_is_none_of_ours_is_a_hint_without_a_claim_and_logged_once(connect: Connect) -> None:
    other = encode(OperationAccepted("1"), id="1", source="api", at=datetime.now(UTC))
    with structlog.testing.capture_logs() as lines, listening(connect()) as ears:
        ears.wait_for(None)
        publish(connect, b"\xff\x00", "{}", "[" * 4000, "x" * 100_000, other)
        ears.wait_for(None, None, None, None, None, None)

    assert [line["event"] for line in lines] == ["hints_connected", "message_malformed"]


def test_other_environments_are_not_heard(connect: Connect) -> None:
    with listening(connect()) as ears:
        ears.wait_for(None)
        with connect() as client:
            client.publish("trustcast:changes:other", changed(9, "other"))
        publish(connect, changed(3))
        ears.wait_for(None, 3)


def test_environments_name_may_hold_spaces(connect: Connect) -> None:
    name = "Production and Sandbox"
    with listening(connect(), name) as ears:
        ears.wait_for(None)
        with connect() as client:
            client.publish(broker.channel(name), changed(3, name))
        ears.wait_for(None, 3)


def test_stop_takes_about_a_second(connect: Connect) -> None:
    with listening(connect()) as ears:
        ears.wait_for(None)
        started = time.monotonic()

    assert time.monotonic() - started < 1.5


def test_redis_that_goes_and_comes_back_is_heard_again(server: RedisServer) -> None:
    client = hints.connect(server.url)
    with structlog.testing.capture_logs() as lines, listening(client) as ears:
        ears.wait_for(None)
        server.stop()
        time.sleep(0.5)
        server.start()
        ears.wait_for(None, None)
        publish(server.client, changed(5))
        ears.wait_for(None, None, 5)

    assert [line["event"] for line in lines] == ["hints_connected", "redis_unreachable", "hints_connected"]


def test_redis_that_is_away_at_start_is_waited_for(server: RedisServer) -> None:
    server.stop()
    with listening(hints.connect(server.url)) as ears:
        time.sleep(0.3)
        server.start()
        ears.wait_for(None)


def test_redis_that_holds_the_connection_but_answers_no_more_is_left(server: RedisServer) -> None:
    """A half-open connection: nothing comes, nothing is refused."""
    client = hints.connect(server.url)
    ears, stop = Ears(), threading.Event()
    listener = hints.Hints(client, "default", ears.hear, ping_seconds=0.2)
    thread = threading.Thread(target=listener.listen, args=(stop,), daemon=True)
    thread.start()
    ears.wait_for(None)
    with structlog.testing.capture_logs() as lines:
        with server.client() as admin:
            admin.client_pause(4000)
        until = time.monotonic() + 10
        while not lines:
            assert time.monotonic() < until
            time.sleep(0.01)
        ears.wait_for(None, None)
        stop.set()
        thread.join(5)
    client.close()

    assert lines[0]["event"] == "redis_unreachable"


def test_listener_needs_no_right_but_to_subscribe_and_to_ping(server: RedisServer) -> None:
    with server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "gateway", "on", ">secret", "resetchannels", f"&{CHANNEL}", "-@all", "+subscribe", "+ping"
        )
    with listening(hints.connect(f"redis://gateway:secret@127.0.0.1:{server.port}")) as ears:
        ears.wait_for(None)
        publish(server.client, changed(5))
        ears.wait_for(None, 5)
