"""Uploads accepted durably by one api process, beside a bare FastAPI handler that does one insert of the same bytes.

Both run all the time, each in a process of its own on the same machine and disk; they are measured in turns. No worker
runs: this is about accepting. The client writes prepared bytes to its connections, one upload after another on each.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, make_url, select, text

from benchmarks import bare_handler, uploads
from benchmarks.databases import KINDS
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row, percentile
from tests import served_api
from tests.databases import migrated
from tests.processes import running, until
from tests.redis_server import RedisServer
from trustcast.storage import tables
from trustcast.storage.session import Database
from trustcast_cli import free_port
from trustcast_cli.embedded_redis import LOOPBACK

CLIENTS = 16
LEAST_RATIO = 0.8


@dataclass
class Side:
    """One of the two servers: where uploads go, how long each round took, and what each upload took in seconds."""

    port: int
    head: str
    rounds: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    def round(self, bodies: Sequence[bytes]) -> None:
        """Send all of them and keep the times."""
        requests = [f"{self.head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        started = time.perf_counter()
        self.answered += _answered(self.port, requests)
        self.rounds.append(time.perf_counter() - started)


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row for SQLite, and one for PostgreSQL."""
    rounds, each = (3, 300) if quick else (8, 2000)
    for name, database_url in KINDS.items():
        with tempfile.TemporaryDirectory() as folder, database_url(Path(folder)) as url:
            ours, bare = _measured(Path(folder), url, rounds, each)
        yield _row(name, ours, bare, each)


def _row(name: str, ours: Side, bare: Side, each: int) -> Row:
    ratios = [theirs / own for own, theirs in zip(ours.rounds, bare.rounds, strict=True)]
    ratio = statistics.median(ratios)
    facts: dict[str, float] = {"lowest_ratio": round(min(ratios), 2), "highest_ratio": round(max(ratios), 2)}
    for side, measured in (("ours", ours), ("bare", bare)):
        facts[f"{side}_uploads_per_second"] = round(each / statistics.median(measured.rounds))
        for percent in (50, 99):
            facts[f"{side}_p{percent}_ms"] = round(percentile(measured.answered, percent) * 1000, 2)
    return Row(
        f"{name}: uploads accepted durably by one api process, {CLIENTS} clients, beside a bare handler's insert",
        f">= {LEAST_RATIO:g} x",
        f"{ratio:.2f} x, {facts['ours_uploads_per_second']:,} a second",
        ratio >= LEAST_RATIO,
        facts,
    )


def _measured(folder: Path, url: str, rounds: int, each: int) -> tuple[Side, Side]:
    made = [uploads.body(alias, der) for alias, der in certificates("accepted", rounds * each + CLIENTS)]
    with _ours(folder, url) as ours, _bare(folder, _beside(url)) as bare:
        for side in (ours, bare):
            _answered(
                side.port, [f"{side.head}Content-Length: {len(one)}\r\n\r\n".encode() + one for one in made[:CLIENTS]]
            )
        for number in range(rounds):
            first = CLIENTS + number * each
            for side in (ours, bare) if number % 2 else (bare, ours):
                side.round(made[first : first + each])
        _assert_durable(url, len(made))
    return ours, bare


def _assert_durable(url: str, uploaded: int) -> None:
    with closing(Database(url)) as database, database.reading() as transaction:
        assert transaction.execute(select(func.count()).select_from(tables.operation)).scalar_one() == uploaded
        if not database.is_sqlite:
            assert transaction.execute(text("SHOW fsync")).scalar_one() == "on"


def _beside(url: str) -> str:
    """Return the URL of another database in the same place."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"{url}.bare"
    with closing(Database(url)) as database, database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CREATE DATABASE bare"))
    return parsed.set(database="bare").render_as_string(hide_password=False)


@contextmanager
def _ours(folder: Path, url: str) -> Iterator[Side]:
    migrated(url)
    served_api.add_environment(url, "other")
    port = free_port.checked(LOOPBACK, 0)
    with ExitStack() as stack:
        redis = RedisServer(folder)
        stack.callback(redis.stop)
        environ = served_api.environ(folder, url, redis.url) | {"TRUSTCAST_API_PORT": str(port)}
        stack.enter_context(running("trustcast_api", environ, folder / "api.log"))
        until(lambda: _listens(port))
        yield Side(port, _head("/v1/certificates", f"Authorization: Bearer {served_api.ADMIN}\r\n"))


@contextmanager
def _bare(folder: Path, url: str) -> Iterator[Side]:
    port = free_port.checked(LOOPBACK, 0)
    command = [sys.executable, "-m", bare_handler.__name__, url, str(port)]
    with (folder / "bare.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until(lambda: _listens(port))
            yield Side(port, _head(bare_handler.PATH))
        finally:
            process.terminate()


def _head(path: str, more: str = "") -> str:
    return f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: {uploads.CONTENT_TYPE}\r\n{more}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def _answered(port: int, requests: Sequence[bytes]) -> list[float]:
    """Send all, each to the connection that is free first; return what each took in seconds, answer by answer."""
    waiting, taken = iter(requests), list[float]()
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(CLIENTS):
            connection = stack.enter_context(socket.create_connection((LOOPBACK, port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _send_next(selector, connection, waiting)
        while selector.get_map():
            for key, _ in selector.select():
                connection, sent_at = key.data
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 202 "), answer
                while not answer.endswith(b"}"):
                    answer += connection.recv(65536)
                taken.append(time.perf_counter() - sent_at)
                selector.unregister(connection)
                _send_next(selector, connection, waiting)
    assert len(taken) == len(requests)
    return taken


def _send_next(selector: selectors.BaseSelector, connection: socket.socket, waiting: Iterator[bytes]) -> None:
    if (request := next(waiting, None)) is not None:
        selector.register(connection, selectors.EVENT_READ, (connection, time.perf_counter()))
        connection.sendall(request)
