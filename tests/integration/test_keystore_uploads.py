"""Key stores that keytool made, uploaded: what they trust is trusted; with a key in one, nothing of it is anywhere."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests import key_stores
from tests.certificates import Made, self_signed
from tests.interop.keytool import PASSWORD, keytool
from tests.served_api import ServedApi
from trustcast.keystore.password_based import MAX_COST
from trustcast.storage import tables

HOSTS = ["orders.example", "billing.example", "stock.example"]
# What is written down about a refusal: who was turned away, when, and the code of the reason.
ABOUT_REFUSALS = {"audit_event"}


def keytool_trusts(folder: Path, kind: str, trusted: dict[str, Made]) -> Path:
    store = folder / "store"
    for alias, made in trusted.items():
        (folder / "certificate.pem").write_bytes(made.pem)
        file = folder / "certificate.pem"
        keytool("-importcert", "-noprompt", "-alias", alias, "-file", file, store=store, kind=kind)
    return store


def send(api: ServedApi, store: bytes, password: str | None = PASSWORD) -> httpx.Response:
    data = {} if password is None else {"password": password}
    return api.ask("POST", "/v1/certificates", data=data, files={"certificate": ("store", store)})


def rows(api: ServedApi) -> dict[str, int]:
    """How many each table holds."""
    with api.database.reading() as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in tables.metadata.tables.items()
        }


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_everything_that_keytool_trusted_is_trusted(fresh_api: ServedApi, kind: str, tmp_path: Path) -> None:
    trusted = {host.partition(".")[0]: self_signed(host) for host in HOSTS}

    answer = send(fresh_api, keytool_trusts(tmp_path, kind, trusted).read_bytes())
    fresh_api.work()

    assert answer.status_code == 202, answer.text
    batch = fresh_api.ask("GET", answer.headers["location"]).json()
    assert (batch["lines"], batch["complete"], batch["states"]["applied"], batch["problems"]) == (3, True, 3, [])
    page = fresh_api.ask("GET", "/v1/certificates").json()
    assert {each["alias"]: each["fingerprint_sha256"] for each in page["certificates"]} == {
        alias: made.fingerprint_sha256 for alias, made in trusted.items()
    }


def unnamed_beside(*named: str) -> bytes:
    """A file with a certificate without a name, and one under each of these."""
    bags = [
        key_stores.certificate_bag(self_signed(f"{name or 'unnamed'}.example").der, name) for name in (None, *named)
    ]
    return key_stores.pfx(key_stores.data(key_stores.seq(*bags)))


def test_certificate_without_a_name_stops_no_other(fresh_api: ServedApi) -> None:
    answer = send(fresh_api, unnamed_beside("orders", "billing"), None)
    fresh_api.work()

    assert answer.status_code == 202, answer.text
    batch = fresh_api.ask("GET", answer.headers["location"]).json()
    assert (batch["lines"], batch["states"]["applied"], batch["states"]["refused"]) == (3, 2, 1)
    (problem,) = batch["problems"]
    assert (problem["line"], problem["alias"], problem["field"]) == (1, None, "alias")
    assert problem["code"] == "keystore_entry_unnamed"


def test_key_store_without_any_name_is_a_batch_of_problems(fresh_api: ServedApi) -> None:
    answer = send(fresh_api, unnamed_beside(), None)

    assert answer.status_code == 202, answer.text
    batch = fresh_api.ask("GET", answer.headers["location"]).json()
    assert (batch["complete"], batch["states"]["refused"]) == (True, 1)
    assert [each["code"] for each in batch["problems"]] == ["keystore_entry_unnamed"]


@pytest.mark.parametrize("password", [PASSWORD, "another", None])
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_a_key_store_with_a_key_leaves_nothing_behind(
    fresh_api: ServedApi, kind: str, password: str | None, tmp_path: Path
) -> None:
    store = keytool_trusts(tmp_path, kind, {"orders": self_signed("orders.example")})
    keytool("-genkeypair", "-alias", "server", "-dname", "CN=server", "-keyalg", "EC", store=store, kind=kind)
    before = rows(fresh_api)

    answer = send(fresh_api, store.read_bytes(), password)
    worked = fresh_api.work()

    assert (answer.status_code, answer.json()["code"], worked) == (400, "private_key", False)
    after = rows(fresh_api)
    assert {name for name in after if after[name] != before[name]} <= ABOUT_REFUSALS
    assert len(after) > 20


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_no_password_of_a_key_store_is_kept(fresh_api: ServedApi, kind: str, tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, kind, {"orders": self_signed("orders.example")}).read_bytes()

    answers = [send(fresh_api, store, "swordfish"), send(fresh_api, store)]
    fresh_api.work()

    assert [answer.status_code for answer in answers] == [400, 202]
    with fresh_api.database.reading() as connection:
        held = repr([connection.execute(sa.select(table)).all() for table in tables.metadata.tables.values()])
    secrets = [PASSWORD, "swordfish", hashlib.sha256(PASSWORD.encode()).hexdigest()]
    assert [secret for secret in secrets if secret in held or any(secret in one.text for one in answers)] == []


def test_who_sends_costly_key_stores_keeps_nobody_waiting(fresh_api: ServedApi) -> None:
    """Twenty at once, each of which takes as much hashing as is let through; the others' questions go on."""
    costly = key_stores.pfx(key_stores.encrypted(key_stores.pbes2(MAX_COST), bytes(16)))
    codes: list[str] = []
    senders = [
        threading.Thread(target=lambda: codes.append(send(fresh_api, costly, "x").json()["code"])) for _ in range(20)
    ]
    for sender in senders:
        sender.start()

    waited = []
    with fresh_api.client() as client:
        while any(sender.is_alive() for sender in senders):
            began = time.monotonic()
            assert client.get("/v1/certificates").status_code == 200
            waited.append(time.monotonic() - began)
    for sender in senders:
        sender.join()

    assert set(codes) == {"keystore_password", "too_many_at_once"}
    assert max(waited) < 1
