"""`python -m trustcast_gateway` as a process of its own: its settings, its end, and what a kill leaves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.gateway_home import entries, make_home
from tests.redis_server import RedisServer
from tests.stated_api import StatedApi, der
from trustcast.domain.messages import TruststoreChanged, encode
from trustcast_gateway.trusted_state import FILE


@dataclass
class Listener:
    """How one listener is started; what it said is in `log`."""

    folder: Path
    environ: dict[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]

    @contextmanager
    def running(self, **changed: str) -> Iterator[subprocess.Popen[bytes]]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTCAST_")}
        environ |= self.environ | changed
        with self.log.open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "trustcast_gateway"], env=environ, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self, **changed: str) -> str:
        """What a listener that cannot start says before it exits with status 1."""
        with self.running(**changed) as process:
            assert process.wait(10) == 1
        return self.log.read_text()


@pytest.fixture
def api() -> StatedApi:
    return StatedApi(at=datetime.now(UTC))


@pytest.fixture
def listener(tmp_path: Path, api: StatedApi, redis_server: RedisServer) -> Iterator[Listener]:
    make_home(tmp_path / "home", [der(1001)])
    (tmp_path / "token").write_text("secret\n")
    pem = api.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "head.pub.pem").write_bytes(pem)
    with api.served() as url:
        environ = {
            "API_URL": url,
            "REDIS_URL": redis_server.url,
            "GATEWAY_NAME": "gateway-1",
            "GATEWAY_ENVIRONMENT": "default",
            "GATEWAY_HOME": str(tmp_path / "home"),
            "GATEWAY_TOKEN_FILE": str(tmp_path / "token"),
            "GATEWAY_STATE_DIR": str(tmp_path / "state"),
            "HEAD_PUBLIC_KEY_FILE": str(tmp_path / "head.pub.pem"),
            "HEALTH_FILE": str(tmp_path / "health"),
        }
        yield Listener(tmp_path, {f"TRUSTCAST_{name}": value for name, value in environ.items()})


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def stopped(process: subprocess.Popen[bytes]) -> float:
    """Seconds from SIGTERM to the end, which is a clean one."""
    started = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    return time.monotonic() - started


def test_listener_installs_at_start_and_on_a_hint_and_stops_cleanly(
    listener: Listener, api: StatedApi, redis_server: RedisServer
) -> None:
    api.put("a", der(1))
    home = make_home(listener.folder / "other", [])
    with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder)) as process:
        wait_for((listener.folder / "health").exists)
        assert [entry.alias for entry in entries(home)] == ["a"]
        wait_for(lambda: "hints_connected" in listener.events)
        generation = api.put("b", der(2))
        with redis_server.client() as client:
            hint = encode(TruststoreChanged("default", generation), id="1", source="worker", at=datetime.now(UTC))
            client.publish("trustcast:changes:default", hint)
        wait_for(lambda: api.reports[-1]["generation"] == 2, seconds=3)

        assert stopped(process) < 2

    assert [entry.alias for entry in entries(home)] == ["a", "b"]
    assert set(listener.events) == {"installed", "hints_connected"}


def test_every_line_of_the_log_names_the_service(listener: Listener, api: StatedApi) -> None:
    api.put("a", der(1))
    with listener.running():
        wait_for(lambda: {"installed", "hints_connected"} <= set(listener.events))

    services = {json.loads(line)["service"] for line in listener.log.read_text().splitlines()}

    assert services == {"gateway-listener"}


def test_tick_installs_where_there_is_no_redis(listener: Listener, api: StatedApi) -> None:
    del listener.environ["TRUSTCAST_REDIS_URL"]
    api.put("a", der(1))
    with listener.running(TRUSTCAST_GATEWAY_RECONCILE_SECONDS="0.2"):
        wait_for(lambda: bool(api.reports))
        api.put("b", der(2))
        wait_for(lambda: api.reports[-1]["generation"] == 2, seconds=3)


def test_api_that_hangs_does_not_hold_the_end_up(listener: Listener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with listener.running(TRUSTCAST_API_URL=url) as process:
            connection, _ = silent.accept()
            with connection:
                assert stopped(process) < 4  # it gives the api up after five


def test_what_a_kill_left_undone_is_completed_while_the_api_hangs(listener: Listener, api: StatedApi) -> None:
    home = make_home(listener.folder / "other", [der(1001)])
    before = home.truststore.read_bytes()
    api.put("a", der(1))
    with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder)):
        wait_for((listener.folder / "health").exists)
    home.truststore.write_bytes(before)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        silent.settimeout(30)
        with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder), TRUSTCAST_API_URL=url):
            connection, _ = silent.accept()
            with connection:
                wait_for(lambda: len(entries(home)) == 2, seconds=4)  # it gives the api up after five


def test_listener_killed_at_random_moments_always_ends_with_what_is_stated(listener: Listener, api: StatedApi) -> None:
    home = make_home(listener.folder / "other", [der(1001)])
    for number in range(8):
        api.state({f"backend-{n}": der(n) for n in range(number, number + 5)})
        with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder)) as process:
            wait_for(lambda: any("changes" in url for url in api.requests))
            time.sleep(0.002 * number)
            process.kill()
        api.requests.clear()
    (listener.folder / "health").unlink(missing_ok=True)
    with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder)):
        wait_for((listener.folder / "health").exists)

    assert {entry.alias for entry in entries(home)} == {"foreign-1", *api.generations[-1]}
    assert home.ssl_profiles.stat().st_mtime_ns > home.truststore.stat().st_mtime_ns


def test_damaged_state_is_set_aside_and_said_loudly(listener: Listener, api: StatedApi) -> None:
    (listener.folder / "state").mkdir()
    (listener.folder / "state" / FILE).write_bytes(b"damaged" * 1000)
    api.put("a", der(1))

    with listener.running():
        wait_for((listener.folder / "health").exists)

    line = json.loads(listener.log.read_text().splitlines()[0])
    assert (line["event"], line["level"]) == ("state_unreadable", "critical")
    assert "generation floor" in line["lost"]
    assert Path(line["kept"]).read_bytes() == b"damaged" * 1000


def test_second_listener_on_one_state_folder_does_not_start(listener: Listener, api: StatedApi) -> None:
    api.put("a", der(1))
    with listener.running():
        wait_for((listener.folder / "health").exists)
        said = listener.said()

    assert "Another listener uses this state folder" in said


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"TRUSTCAST_GATEWAY_HOUSE": "x"}, "Unknown setting: TRUSTCAST_GATEWAY_HOUSE."),
        ({"TRUSTCAST_GATEWAY_RECONCILE_SECONDS": "soon"}, "TRUSTCAST_GATEWAY_RECONCILE_SECONDS"),
        ({"TRUSTCAST_API_URL": "localhost:8080"}, "TRUSTCAST_API_URL"),
        ({"TRUSTCAST_GATEWAY_TOKEN_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({"TRUSTCAST_HEAD_PUBLIC_KEY_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({"TRUSTCAST_HEAD_PUBLIC_KEY_FILE": __file__}, "not an Ed25519 public key"),
        ({"TRUSTCAST_REDIS_URL_FILE": "/nowhere"}, "not both"),
        ({"TRUSTCAST_REDIS_URL": "nonsense"}, "TRUSTCAST_REDIS_URL"),
        ({"TRUSTCAST_GATEWAY_STATE_DIR": __file__}, "The state folder"),
    ],
)
def test_setting_that_is_wrong_is_named_in_one_sentence(
    listener: Listener, changed: dict[str, str], sentence: str
) -> None:
    said = listener.said(**changed)

    assert sentence in said
    assert len(said.splitlines()) == 1


def test_listener_of_a_gateway_with_a_damaged_truststore_is_well_and_says_so(
    listener: Listener, api: StatedApi
) -> None:
    home = make_home(listener.folder / "other", [der(1001)])
    home.truststore.write_bytes(b"junk")
    api.put("a", der(1))

    with listener.running(TRUSTCAST_GATEWAY_HOME=str(home.folder)):
        wait_for((listener.folder / "health").exists)

    assert api.reports[-1]["code"] == "truststore_not_jks"
