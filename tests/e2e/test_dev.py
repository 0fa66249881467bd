"""`trustcast dev` as a person runs it: a child process, HTTP, and the files in the gateways' homes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests import dev_server
from tests.dev_server import Dev
from trustcast_cli import free_port


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev_server.running_dev(tmp_path_factory.mktemp("dev") / "data") as dev:
        yield dev


def test_an_uploaded_certificate_is_installed_on_every_gateway(dev: Dev) -> None:
    certificate = _certificate("orders.example.com")

    _upload(dev, "orders", "https://orders.example.com", certificate)

    for gateway in dev.gateways:
        assert dev_server.managed(dev.folder, gateway)["orders"] == _fingerprint(certificate)


def test_a_killed_child_is_named_started_again_and_works(dev: Dev) -> None:
    for name in ("worker", "redis", "gateway-1"):
        pid = dev.pid(name)
        assert pid is not None

        os.kill(pid, signal.SIGKILL)

        dev_server.wait_until(lambda name=name, pid=pid: dev.pid(name) not in {None, pid})  # type: ignore[misc]
        assert f"{name} died (SIGKILL); starting it again" in dev.stderr()
    _upload(dev, "after-the-kills", "https://after.example.com", _certificate("after.example.com"))


def test_a_second_dev_on_the_same_folder_is_refused(dev: Dev) -> None:
    assert _refusal(dev.folder.path) == (
        f"The data folder {dev.folder.path} is in use by another `trustcast dev`, process {dev.process.pid}.\n"
    )


def test_secrets_are_not_in_the_logs(dev: Dev) -> None:
    secrets = [path.read_text(encoding="ascii").strip() for path in _secret_files(dev)]
    logs = "".join(path.read_text(encoding="utf-8") for path in (dev.folder.path / "logs").iterdir())

    assert [secret for secret in secrets if secret in logs] == []


def test_a_start_on_the_same_folder_continues_where_the_last_one_left(tmp_path: Path) -> None:
    first, second = _certificate("first.example.com"), _certificate("second.example.com")
    with dev_server.running_dev(tmp_path / "data", gateways=2) as dev:
        _upload(dev, "first", "https://first.example.com", first)
        token = dev.admin_token

    with dev_server.running_dev(tmp_path / "data", gateways=2) as dev:
        _upload(dev, "second", "https://second.example.com", second)
        with dev_server.admin(dev) as api:
            truststore = api.get("/v1/environments/default/truststore").raise_for_status().json()

        assert dev.admin_token == token
        assert truststore["generation"] == 2
        assert dev_server.managed(dev.folder, "gateway-2") == {
            "first": _fingerprint(first),
            "second": _fingerprint(second),
        }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_child_within_ten_seconds(tmp_path: Path, number: signal.Signals) -> None:
    with dev_server.running_dev(tmp_path / "data", gateways=1) as dev:
        pids = [dev.pid(name) for name in dev.names]
        began = time.monotonic()

        dev.process.send_signal(number)

        assert dev.process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert not any(dev_server.runs(pid) for pid in pids)
        assert "died" not in dev.stderr()


def test_a_child_that_hangs_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with dev_server.running_dev(tmp_path / "data", gateways=1) as dev:
        hanging = dev.pid("worker")
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        began = time.monotonic()

        dev.process.terminate()

        assert dev.process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert not dev_server.runs(hanging)


def test_children_of_a_killed_dev_end_and_a_new_one_takes_over_at_once(tmp_path: Path) -> None:
    with dev_server.running_dev(tmp_path / "data", gateways=1) as dev:
        pids = [dev.pid(name) for name in dev.names]
        dev.process.kill()
        dev.process.wait()

    with dev_server.running_dev(tmp_path / "data", gateways=1, port=dev.port) as dev:
        assert not any(dev_server.runs(pid) for pid in pids)
        _upload(dev, "orders", "https://orders.example.com", _certificate("orders.example.com"))


def test_a_service_can_be_held_down_and_started_again(tmp_path: Path) -> None:
    with dev_server.running_services(tmp_path / "data", gateways=1) as services:
        services.stop("gateway-1")
        assert services.pid("gateway-1") is None

        services.start("gateway-1")
        services.wait_until_ready()

        assert services.pid("gateway-1") is not None


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = _refusal(tmp_path / "data", port=port)

    assert said == f"Port {port} on 127.0.0.1 cannot be used: Address already in use. Choose another --port.\n"


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"

    said = _refusal(folder)

    assert said == f"The data folder {folder} cannot be written: Not a directory. Choose another --data-dir.\n"


def test_a_setting_that_nobody_knows_is_fatal_and_named(tmp_path: Path) -> None:
    said = _refusal(tmp_path / "data", env={"TRUSTCAST_CERTIFICATES_PER_ENDPONT": "2"})

    assert said == (
        "Unknown setting in the environment: TRUSTCAST_CERTIFICATES_PER_ENDPONT. No service knows it; unset it.\n"
    )


def test_a_setting_that_a_service_refuses_is_named_with_the_service(tmp_path: Path) -> None:
    took, said = _refusal(tmp_path / "data", env={"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": "many"}).splitlines()

    assert took == "From the environment: TRUSTCAST_CERTIFICATES_PER_ENDPOINT."
    assert said.startswith("api does not start: ")
    assert "TRUSTCAST_CERTIFICATES_PER_ENDPOINT" in said


def test_a_database_of_the_environment_is_said_and_one_devs_at_a_time(tmp_path: Path) -> None:
    env = {"TRUSTCAST_DATABASE_URL": f"sqlite:///{tmp_path / 'first' / 'trustcast.db'}"}
    with dev_server.running_dev(tmp_path / "first", gateways=1) as dev:
        said = _refusal(tmp_path / "second", env=env)

    database = dev.folder.database
    assert said == (
        "From the environment: TRUSTCAST_DATABASE_URL.\n"
        f"The database is the SQLite file {database}, not the data folder's.\n"
        f"The database {database} is in use by another `trustcast dev`, process {dev.process.pid}.\n"
    )


def _refusal(folder: Path, *, port: int = 0, env: dict[str, str] | None = None) -> str:
    """Run dev where it cannot run; return what it says on stderr."""
    arguments = dev_server.command(folder, port=port or free_port.checked("127.0.0.1", 0), gateways=1)
    done = subprocess.run(
        arguments, env=dev_server.environment(env), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def _certificate(host: str) -> bytes:
    return trustme.CA().issue_cert(host).cert_chain_pems[0].bytes()


def _fingerprint(pem: bytes) -> str:
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def _upload(dev: Dev, alias: str, endpoint: str, certificate: bytes) -> None:
    """Upload and return when every gateway has it."""
    with dev_server.admin(dev) as api:
        answer = api.post(
            "/v1/certificates",
            data={"alias": alias, "endpoint": endpoint},
            files={"certificate": ("certificate.pem", certificate)},
        )
        assert answer.status_code == 202, answer.text
        location = answer.headers["Location"]
        dev_server.wait_until(lambda: bool(api.get(location).json()["converged"]), 45)


def _secret_files(dev: Dev) -> list[Path]:
    tokens = [dev.folder.listener(gateway) / "token" for gateway in dev.gateways]
    return [dev.folder.admin_token, dev.folder.redis / "password", *tokens]
