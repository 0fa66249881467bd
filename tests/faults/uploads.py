"""Uploads as a client sends them, and what the client remembers: what was answered and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from sqlalchemy import func, select

from tests import dev_server
from tests.certificates import Made, self_signed
from tests.invariants import Before, assert_invariants
from trustcast.storage import tables
from trustcast.storage.operations import State
from trustcast.storage.session import Database
from trustcast_cli.services import Services


@dataclass
class Client:
    """One client of running services. `accepted` are the operations that were answered 202; not for two threads."""

    services: Services
    http: httpx.Client
    database: Database
    before: Before
    accepted: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def upload(self, alias: str) -> Made:
        """Upload a fresh certificate; the answer is 202."""
        made = self_signed(f"{alias}.example")
        began = time.monotonic()
        answer = self.http.post("/v1/certificates", data=_fields(alias), files={"certificate": made.pem})
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert answer.status_code == 202, answer.text
        self.accepted.append(answer.json()["id"])
        return made

    def applied(self) -> int:
        """Return how many requests were applied so far."""
        with self.database.reading() as transaction:
            waits = select(func.count()).where(tables.operation.c.state == State.APPLIED)
            return int(transaction.execute(waits).scalar_one())

    def all_applied(self) -> bool:
        """Tell whether everything that was accepted is applied."""
        return self.applied() == len(self.accepted)

    def converged(self) -> bool:
        """Tell whether everything is applied and every gateway has the newest generation."""
        if not self.all_applied():
            return False
        answer = self.http.get("/v1/environments/default/truststore").raise_for_status()
        return bool(answer.json()["converged"])

    def seconds_until_applied(self, within: float) -> float:
        """Wait until everything that was accepted is applied; return how long it took."""
        began = time.monotonic()
        dev_server.wait_until(self.all_applied, within)
        return time.monotonic() - began

    def assert_invariants(self) -> None:
        """Assert the design's seven on what these services left behind."""
        url = self.database.engine.url.render_as_string(hide_password=False)
        assert_invariants(self.services.folder, self.before, accepted=self.accepted, database_url=url)


@contextmanager
def client(services: Services, *, database_url: str | None = None) -> Iterator[Client]:
    """Connect; first of all try to upload a private key, which must leave no trace anywhere."""
    made = self_signed("leaked.example")
    assert isinstance(made.key, EllipticCurvePrivateKey)
    secret = made.key.private_numbers().private_value.to_bytes(32, "big")
    before = Before.read(services.folder, services.gateways, [secret])
    database = Database(database_url or services.folder.database_url)
    with dev_server.admin(services) as http:
        leak = {"certificate": made.pem + made.key_pem}
        refused = http.post("/v1/certificates", data=_fields("leaked"), files=leak)
        assert (refused.status_code, refused.json()["code"]) == (400, "private_key")
        yield Client(services, http, database, before)
    database.close()


def _fields(alias: str) -> dict[str, str]:
    return {"alias": alias, "endpoint": f"https://{alias}.example"}
