"""Every x509, pkcs7 and pkcs12 file of `cryptography-vectors` is posted; what becomes of each is a reviewed table.

They are sent as leniently as can be, `ca=true&accept_expired=true`, so that no verdict hides behind an expiry that is
long past. Run this file as a program to print the table anew; read what has changed before it is kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cryptography_vectors
import httpx
import pytest
from structlog.testing import capture_logs

from tests.databases import SqliteFiles
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served
from trustcast.domain.endpoint import Endpoint

VECTORS = Path(cryptography_vectors.__file__).parent
TABLE = Path(__file__).parent.parent / "vectors" / "verdicts.txt"
AT = datetime(2026, 11, 24, tzinfo=UTC)
ENDPOINT = str(Endpoint.parse("https://example.com"))
KINDS = ("x509", "pkcs7", "pkcs12")
PASSWORDS = ("password", "cryptography", "changeit", "")


@dataclass(frozen=True)
class Posted:
    """What one file got: the status and seconds of the answer, and the verdict as the table has it."""

    status: int
    seconds: float
    verdict: str


def _names() -> list[str]:
    return sorted(
        one.relative_to(VECTORS).as_posix() for kind in KINDS for one in (VECTORS / kind).rglob("*") if one.is_file()
    )


def post_all(api: ServedApi) -> dict[str, Posted]:
    """Post every file, then give the verdicts as of `AT`; nothing is applied, so none stands in another's way."""
    api.pipeline.at = AT
    answers = {}
    with api.client() as client:
        for number, name in enumerate(_names()):
            answers[name] = _answer(client, (VECTORS / name).read_bytes(), alias=f"v{number}")
        while api.pipeline.validate():
            pass
        return {
            name: Posted(answer.status_code, seconds, _verdict(client, answer.json()))
            for name, (answer, seconds) in answers.items()
        }


def _answer(client: httpx.Client, data: bytes, *, alias: str) -> tuple[httpx.Response, float]:
    """The last answer to its forms, as a certificate and as a key store with one password or another; its seconds."""
    fields = {"ca": "true", "accept_expired": "true", "endpoint": ENDPOINT}
    forms = [fields | {"alias": alias}, *(fields | {"password": one} for one in PASSWORDS)]
    while True:
        started = time.perf_counter()
        answer = client.post("/v1/certificates", data=forms.pop(0), files={"certificate": data})
        if not forms or not _wants_another_form(answer.json()):
            return answer, time.perf_counter() - started


def _wants_another_form(answer: dict[str, Any]) -> bool:
    """It is a key store, which comes without an alias, or one with another password."""
    return any(one["code"] in {"field_unexpected", "keystore_password"} for one in answer.get("errors", []))


def _verdict(client: httpx.Client, answer: dict[str, Any]) -> str:
    """In one line: `refused CODE…` at the door, `rejected CODE`, or `accepted` with what is warned of."""
    if "code" in answer:
        codes = [one["code"] for one in answer["errors"]] or [answer["code"]]
        return f"refused {' '.join(codes)}"
    if "lines" in answer:
        batch = client.get(f"/v1/batches/{answer['id']}").json()
        codes = [one["code"] for one in batch["problems"]]
        return f"key store of {batch['lines']}, {batch['states']['validated']} accepted {' '.join(codes)}".strip()
    operation = client.get(f"/v1/operations/{answer['id']}").json()
    if operation["problem"]:
        return f"rejected {operation['problem']['code']}"
    return f"accepted {' '.join(one['code'] for one in operation['warnings'])}".strip()


@contextmanager
def _api(folder: Path, sqlite_files: SqliteFiles, redis_url: str) -> Iterator[ServedApi]:
    url = sqlite_files.fresh(folder)
    add_environment(url, "other")
    with served(folder, url, redis_url) as api:
        yield api


@pytest.fixture(scope="module")
def posted(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles, redis_server: RedisServer
) -> Iterator[dict[str, Posted]]:
    with _api(tmp_path_factory.mktemp("vectors"), sqlite_files, redis_server.url) as api:
        yield post_all(api)


def _reviewed() -> dict[str, str]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def test_verdict_of_each_vector_is_the_one_that_was_reviewed(posted: dict[str, Posted]) -> None:
    assert {name: one.verdict for name, one in posted.items()} == _reviewed()


def test_no_vector_is_an_error_of_ours(posted: dict[str, Posted]) -> None:
    assert {name: one.status for name, one in posted.items() if one.status not in {202, 400, 413}} == {}


def test_no_vector_takes_a_second(posted: dict[str, Posted]) -> None:
    assert {name: one.seconds for name, one in posted.items() if one.seconds >= 1} == {}


def main() -> None:
    """Print the table as it would be now."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        redis = RedisServer(folder)
        try:
            with capture_logs(), _api(folder, SqliteFiles(folder), redis.url) as api:
                found = post_all(api)
        finally:
            redis.stop()
    sys.stdout.writelines(f"{name}\t{one.verdict}\n" for name, one in found.items())


if __name__ == "__main__":
    main()
