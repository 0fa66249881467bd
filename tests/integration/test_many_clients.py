"""Many clients at once, with good, bad and repeated requests: what was answered is what is stored."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from sqlalchemy import select

from tests.certificates import self_signed
from tests.served_api import ServedApi
from trustcast.storage import audit
from trustcast.storage.tables import audit_event, certificate_blob, operation

CLIENTS, EACH = 16, 15
# 202, but for what cannot be read, what is not there, and a key that came with something else before.
STATUS = {"own": 202, "shared": 202, "unreadable": 400, "never there": 404, "key reused": 422}


@dataclass(frozen=True)
class Sent:
    """What was sent, under which key, and what came back."""

    what: str
    key: str | None
    answer: httpx.Response

    @property
    def id(self) -> str:
        return str(self.answer.json()["id"])


@dataclass(frozen=True)
class Client:
    """One of many: `shared` is a certificate that all of them have."""

    connection: httpx.Client
    name: str
    own: bytes
    shared: bytes

    def send(self, what: str, number: int) -> Sent:
        alias = f"{self.name}-{number}"
        match what:
            case "shared":  # whoever sends it first, the others send it again
                key = f"shared-{number}"
                return Sent(what, key, self._upload(key, self.shared, key))
            case "key reused":
                return Sent(what, None, self._upload(alias, self.own, "used"))
            case "never there":
                return Sent(what, None, self.connection.delete(f"/v1/certificates/{alias}"))
            case _:
                return Sent(what, None, self._upload(alias, b"no certificate" if what == "unreadable" else self.own))

    def _upload(self, alias: str, certificate: bytes, key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        data = {"alias": alias, "endpoint": "https://web.example"}
        return self.connection.post("/v1/certificates", data=data, files={"certificate": certificate}, headers=headers)


def all_that_was_sent(api: ServedApi) -> list[Sent]:
    """Send everything, all clients at once, each in an order of its own."""
    shared = self_signed("web.example").pem

    def work(number: int) -> list[Sent]:
        whats = random.Random(number).choices([*STATUS], k=EACH)
        with api.client() as connection:
            client = Client(connection, f"client-{number}", self_signed("web.example").pem, shared)
            return [client.send(what, number) for number, what in enumerate(whats)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [sent for some in pool.map(work, range(CLIENTS)) for sent in some]


def test_all_that_was_answered_202_is_stored_once_and_nothing_else(fresh_api: ServedApi) -> None:
    used = fresh_api.upload("used", self_signed("web.example"), headers={"Idempotency-Key": "used"})

    sent = all_that_was_sent(fresh_api)

    assert [one for one in sent if one.answer.status_code != STATUS[one.what]] == []
    accepted = [one for one in sent if one.answer.status_code == 202]
    by_key = {one.key: one.id for one in accepted if one.key is not None}
    assert [one for one in accepted if one.key is not None and one.id != by_key[one.key]] == []
    ids = {one.id for one in accepted} | {used.json()["id"]}
    assert len(ids) == 1 + len(by_key) + sum(one.what == "own" for one in sent)
    with fresh_api.database.reading() as transaction:
        stored = list(transaction.execute(select(operation.c.id).order_by(operation.c.sequence)).scalars())
        told = select(audit_event.c.facts).where(audit_event.c.action == "operation.accepted")
        facts = transaction.execute(told.order_by(audit_event.c.sequence)).scalars()
        assert sorted(stored) == sorted(ids)
        assert [json.loads(one)["operation"] for one in facts] == stored
        audit.verify(transaction)


def test_all_of_it_ends_and_what_is_trusted_then_is_sound(fresh_api: ServedApi) -> None:
    all_that_was_sent(fresh_api)

    fresh_api.work()

    with fresh_api.database.reading() as transaction:
        states = transaction.execute(select(operation.c.state)).scalars()
        blobs = transaction.execute(select(certificate_blob.c.sha256)).scalars()
        assert set(states) <= {"applied", "rejected"}
        assert len(set(blobs)) <= CLIENTS + 1
    fresh_api.pipeline.assert_sound()
