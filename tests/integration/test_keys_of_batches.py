"""One Idempotency-Key, one batch: what else comes with the key is refused, and lost without a word never."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from tests.certificates import self_signed
from tests.integration.test_api_doors import assert_problem
from tests.pipeline import ADMIN
from tests.served_api import ServedApi
from trustcast_api.accept_batch import accept_lines, begin
from trustcast_api.read_bulk import MAX_LINES

PASSWORD = "a password"


def some(what: str = "web") -> str:
    return f"{what}-{uuid.uuid4().hex[:12]}"


def bulk(api: ServedApi, content: bytes, key: str) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
    return api.ask("POST", "/v1/certificates/bulk", content=content, headers=headers)


def line() -> bytes:
    alias = some()
    made = self_signed(f"{alias}.example").pem.decode()
    return json.dumps({"alias": alias, "endpoint": f"https://{alias}.example", "certificate": made}).encode() + b"\n"


def keystore() -> bytes:
    alias = some()
    entry = PKCS12Certificate(self_signed(f"{alias}.example").certificate, alias.encode())
    return serialize_java_truststore([entry], BestAvailableEncryption(PASSWORD.encode()))


def send(api: ServedApi, store: bytes, key: str) -> httpx.Response:
    data, files = {"password": PASSWORD}, {"certificate": ("store", store)}
    return api.ask("POST", "/v1/certificates", data=data, files=files, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("lines", [1, MAX_LINES + 1], ids=["whole", "stopped"])
def test_key_store_with_the_key_of_a_bulk_is_refused(api: ServedApi, lines: int) -> None:
    key, content = some("key"), line() + b"{}\n" * (lines - 1)
    first = bulk(api, content, key)

    assert_problem(send(api, keystore(), key), 422, "idempotency_key_reused")

    again = bulk(api, content, key)
    assert (again.status_code, again.headers["location"]) == (first.status_code, first.headers["location"])


def test_key_store_with_the_key_of_a_bulk_that_broke_off_is_refused(api: ServedApi) -> None:
    """As the api leaves it when a client goes away: some lines, and not complete."""
    key, who, at = some("key"), ADMIN, api.pipeline.at
    batch = begin(api.database, who=who, idempotency_key=key, at=at)
    accept_lines(api.database, batch, [], upto=3, sha256="0" * 64, complete=False, who=who, at=at)

    assert_problem(send(api, keystore(), key), 422, "idempotency_key_reused")


def test_bulk_with_the_key_of_a_key_store_is_refused(api: ServedApi) -> None:
    key, store = some("key"), keystore()
    first = send(api, store, key)

    assert_problem(bulk(api, line(), key), 422, "idempotency_key_reused")
    assert_problem(send(api, keystore(), key), 422, "idempotency_key_reused")

    assert send(api, store, key).headers["location"] == first.headers["location"]


@pytest.mark.parametrize("first", [b"{}\n", b"[]\n"])
def test_bulk_that_was_stopped_is_stopped_again_and_another_is_refused(api: ServedApi, first: bytes) -> None:
    key, content = some("key"), line() + first + b"{}\n" * MAX_LINES
    stopped = bulk(api, content, key)

    again = bulk(api, content, key)

    assert (again.status_code, again.json()) == (413, stopped.json())
    for other in (line() + content, content[: content.find(b"\n") + 1], b"{}\n" * (MAX_LINES + 1)):
        assert_problem(bulk(api, other, key), 422, "idempotency_key_reused")
