"""Uploads as a client sends them, and what the client remembers: what was answered and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from sqlalchemy import func, select

from tests import dev_server
from tests.certificates import Made, self_signed
from tests.invariants import Before, assert_invariants
from trustcast.domain.operation import State
from trustcast.storage import tables
from trustcast.storage.session import Database
from trustcast_cli.services import Services


@dataclass
class Client:
    """One client of running services; one thread at a time uploads. `accepted` are the operations answered 202."""

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
        return self._count(State.APPLIED)

    def at_work(self) -> bool:
        """Tell whether something is on its way."""
        return self._count(State.RECEIVED, State.VALIDATED) > 0

    def nothing_is_owed(self) -> bool:
        """Tell whether the broker has every message."""
        with self.database.reading() as transaction:
            return transaction.execute(select(tables.outbox.c.id)).first() is None

    def longest(self) -> float:
        """Return the longest time from accepted to applied, in seconds."""
        of = tables.operation.c
        with self.database.reading() as transaction:
            times = transaction.execute(select(of.accepted_at, of.applied_at).where(of.state == State.APPLIED))
            return float(max((applied - accepted).total_seconds() for accepted, applied in times))

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

    def _count(self, *states: State) -> int:
        with self.database.reading() as transaction:
            count = select(func.count()).where(tables.operation.c.state.in_(states))
            return int(transaction.execute(count).scalar_one())


@contextmanager
def running(folder: Path, *, gateways: int = 2, settings: Mapping[str, str] | None = None) -> Iterator[Client]:
    """Run the services on the folder and connect; first of all try to upload a private key, which must leave no trace.

    `settings` are environment variables for the services.
    """
    made = self_signed("leaked.example")
    assert isinstance(made.key, EllipticCurvePrivateKey)
    secret = made.key.private_numbers().private_value.to_bytes(32, "big")
    with dev_server.running_services(folder, gateways=gateways, env=settings) as services:
        url = (settings or {}).get("TRUSTCAST_DATABASE_URL", services.folder.database_url)
        before = Before.read(services.folder, services.gateways, [secret])
        with closing(Database(url)) as database, dev_server.admin(services) as http:
            leak = {"certificate": made.pem + made.key_pem}
            refused = http.post("/v1/certificates", data=_fields("leaked"), files=leak)
            assert (refused.status_code, refused.json()["code"]) == (400, "private_key")
            yield Client(services, http, database, before)


def _fields(alias: str) -> dict[str, str]:
    return {"alias": alias, "endpoint": f"https://{alias}.example"}
