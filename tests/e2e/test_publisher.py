"""A WSO2 client's whole story on running services: the backend is invoked through a gateway's own truststore."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests import dev_server
from tests.certificates import self_signed
from trustcast_cli import demo_backend, truststore_client
from trustcast_cli.data_folder import TRUSTSTORE_PASSWORD

ADDRESS = "/api/am/publisher/v4/endpoint-certificates"


def test_backend_is_invoked_as_long_as_its_certificate_is_uploaded(tmp_path: Path) -> None:
    unlimited = {"TRUSTCAST_CERTIFICATES_PER_ENDPOINT": "unlimited"}
    (tmp_path / "backend").mkdir()
    with (
        dev_server.running_services(tmp_path / "data", gateways=1, env=unlimited) as services,
        demo_backend.serving(tmp_path / "backend") as backend,
        dev_server.admin(services) as client,
    ):

        def refusal() -> str | None:
            truststore = services.folder.truststore(services.gateways[0])
            return truststore_client.refusal(backend.url, truststore, TRUSTSTORE_PASSWORD)

        def upload(alias: str, certificate: bytes) -> httpx.Response:
            data, files = {"alias": alias, "endpoint": backend.url}, {"certificate": ("backend.crt", certificate)}
            return client.post(ADDRESS, data=data, files=files)

        assert refusal() == "self-signed certificate"
        assert upload("backend-1", backend.certificate).status_code == 201
        assert upload("backend-2", self_signed("localhost").pem).status_code == 201
        assert upload("backend-1", self_signed("localhost").pem).status_code == 409
        assert upload("backend-3", _expired()).status_code == 400
        dev_server.wait_until(lambda: refusal() is None)

        found = client.get(ADDRESS, params={"endpoint": "https://localhost"}).json()
        assert [one["alias"] for one in found["certificates"]] == ["backend-1", "backend-2"]
        assert client.get(f"{ADDRESS}/backend-1").json()["status"] == "Active"
        assert client.get(f"{ADDRESS}/backend-1/usage").json()["count"] == 0
        assert (
            client.put(f"{ADDRESS}/backend-2", files={"certificate": self_signed("localhost").pem}).status_code == 200
        )

        assert client.delete(f"{ADDRESS}/backend-1").status_code == 200
        dev_server.wait_until(lambda: refusal() == "self-signed certificate")
        assert client.delete(f"{ADDRESS}/backend-1").status_code == 404


def _expired() -> bytes:
    return self_signed("localhost", days=1, not_before=datetime.now(UTC) - timedelta(days=2)).pem
