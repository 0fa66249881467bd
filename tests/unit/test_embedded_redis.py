"""A real server, from PATH or from the wheel."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from trustcast_cli import embedded_redis
from trustcast_cli.embedded_redis import EmbeddedRedis
from trustcast_cli.supervise import Child, Supervisor


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    prepared = embedded_redis.prepare(tmp_path)
    supervisor = Supervisor(say=print)
    child = Child("redis", prepared.command, dict(os.environ), tmp_path / "log", tmp_path / "pid")
    supervisor.start(child)
    deadline = time.monotonic() + 5
    while not prepared.answers():
        assert time.monotonic() < deadline, (tmp_path / "log").read_text(encoding="utf-8")
        time.sleep(0.01)
    yield prepared
    supervisor.stop(["redis"], within=5)


def test_the_server_keeps_what_it_is_told_and_evicts_nothing(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        settings = client.config_get("appendonly", "maxmemory-policy")

    assert settings == {"appendonly": "yes", "maxmemory-policy": "noeviction"}


def test_the_server_listens_on_loopback_only(server: EmbeddedRedis) -> None:
    """127.0.0.2 is this machine, too, but not the address that we bind: a server on 0.0.0.0 would answer there."""
    with pytest.raises((ConnectionRefusedError, TimeoutError)):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)

    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_the_server_wants_its_password(server: EmbeddedRedis) -> None:
    with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_password_and_port_are_kept(tmp_path: Path) -> None:
    assert embedded_redis.prepare(tmp_path) == embedded_redis.prepare(tmp_path)


def test_a_port_that_somebody_else_took_is_replaced(tmp_path: Path) -> None:
    first = embedded_redis.prepare(tmp_path)

    with socket.create_server(("127.0.0.1", first.port)):
        second = embedded_redis.prepare(tmp_path)

    assert second.port != first.port
    assert second.password == first.password


@pytest.mark.parametrize("name", ["password", "url", "redis.conf"])
def test_files_with_the_password_are_for_the_owner_only(tmp_path: Path, name: str) -> None:
    embedded_redis.prepare(tmp_path)

    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_server_that_is_away_does_not_answer(tmp_path: Path) -> None:
    assert not embedded_redis.prepare(tmp_path).answers()


def test_a_server_on_path_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "redis-server"
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert embedded_redis.server_binary() == own
