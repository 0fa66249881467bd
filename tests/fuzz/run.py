"""Let schemathesis loose on a served api that has something in every table, with the worker's part done beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.certificates import self_signed
from tests.served_api import ADMIN, ServedApi

ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",  # whatever is not public answers 401 without a token and with a wrong one
)


@dataclass(frozen=True)
class Verdict:
    """What came of a run: how many requests were made, what failed, and schemathesis' own words."""

    cases: int
    failures: list[Any]
    errors: int
    complete: bool
    output: str


def fuzz(api: ServedApi, folder: Path, *options: str, timeout: float) -> Verdict:
    """Run schemathesis over the whole document of `api`, as the administrator."""
    known = _something_everywhere(api)
    command: list[str | Path] = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{api.url}/openapi.json",
        "--url",
        api.url,
    ]
    command += ["--header", f"Authorization: Bearer {ADMIN}", "--checks", ",".join(CHECKS), "--no-color"]
    command += ["--report", "json", "--report-dir", folder, "--generation-database", "none", "--max-redirects", "0"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "FUZZ_KNOWN": json.dumps(known)}
    environ["PYTHONPATH"] = str(ROOT)
    with _worker(api):
        done = subprocess.run(
            [*command, *options], cwd=folder, env=environ, capture_output=True, text=True, timeout=timeout, check=False
        )
    output = done.stdout + done.stderr
    reports = list(folder.glob("json-*.json"))
    if len(reports) != 1:
        raise AssertionError(f"schemathesis wrote no report:\n{output}")
    told = json.loads(reports[0].read_text())
    cases, errors = told["test_cases"], told["test_cases"]["errored"] + told["operations"]["errored"]
    return Verdict(cases["generated"], told["failures"], errors, told["complete"], output)


@contextmanager
def _worker(api: ServedApi) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            api.work()
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _something_everywhere(api: ServedApi) -> dict[str, list[str]]:
    """Put something into every table; return what a request can name, by the first part of its path and the field."""
    aliases = ["orders", "billing", "stock"]
    for alias in aliases:
        api.upload(alias, self_signed(f"{alias}.example")).raise_for_status()
    api.work()
    api.ask(
        "POST", "/v1/certificates/stock/rotation", files={"certificate": self_signed("stock.example").pem}
    ).raise_for_status()
    api.work()
    orders = {"production": {"kind": "single", "urls": ["https://orders.example/v1"]}}
    described = {"version": "1", "context": "/orders", "provider": "admin", "type": "HTTP/REST", "endpoints": orders}
    made = api.ask("POST", "/v1/apis", json={"name": "Orders", **described}).raise_for_status()
    operations = api.ask("GET", "/v1/operations").raise_for_status().json()["operations"]
    return {
        "certificates.alias": [*aliases, "Orders", "stock.next"],
        "am.alias": aliases,
        "operations.id": [one["id"] for one in operations],
        "apis.id": [made.json()["id"]],
        "environments.name": ["default", "other"],
        "tenants.id": ["-1234"],
        "gateways.name": ["g1"],
        "body.endpoint": [f"https://{name}.example:8443/v1" for name in ("orders", "billing", "new")],
        "body.certificate": [self_signed(f"fuzzed-{number}.example").pem.decode() for number in range(20)],
    }
