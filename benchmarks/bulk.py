"""Ten thousand certificates in one body: the time until three gateways have them all, and the api's memory."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.databases import KINDS
from benchmarks.gateway_files import GatewayFiles
from benchmarks.many_certificates import certificates, endpoint
from benchmarks.rows import Row
from benchmarks.uploads import Client
from tests.dev_server import Dev, running_dev, wait_until
from trustcast.storage.session import Database
from trustcast.storage.tables import operation

LINES = 10_000
LIMIT_SECONDS, LIMIT_MB = 6.0, 200
_LONGEST = 120


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield two rows for SQLite, and two for PostgreSQL."""
    lines = 1000 if quick else LINES
    body = b"".join(_line(alias, der) for alias, der in certificates("bulk", lines))
    for name, database_url in KINDS.items():
        with tempfile.TemporaryDirectory() as folder, database_url(Path(folder)) as url:
            yield from _measured(name, Path(folder) / "dev", url, body, lines)


def _measured(name: str, folder: Path, url: str, body: bytes, lines: int) -> Iterator[Row]:
    with running_dev(folder, env={"TRUSTCAST_DATABASE_URL": url}) as dev:
        files = GatewayFiles(dev.folder, dev.gateways)
        wanted = [before + lines for before in files.entries()]
        with closing(Client(dev.port, dev.admin_token)) as client:
            used, started = _cpu_seconds(dev), time.perf_counter()
            batch = _sent(dev, body)
            answered = time.perf_counter() - started
            wait_until(lambda: files.entries() == wanted, _LONGEST, every=0.005)
            installed = time.perf_counter() - started
            wait_until(lambda: _looked(client, batch)["converged"] == lines, _LONGEST, every=0.05)
            converged = time.perf_counter() - started
            memory = _megabytes(dev, "VmHWM")
            ended = _ended(url)
            generations = client.get("/v1/environments/default/truststore")["generation"]
            spent = {name: round(after - used[name], 1) for name, after in _cpu_seconds(dev).items()}
        assert all(len(ours) == lines for ours in files.ours())
    yield Row(
        f"{name}: a bulk of {lines:,} certificates -> accepted, validated, applied and installed on three gateways",
        f"<= {LIMIT_SECONDS:g} s",
        f"{installed:.2f} s",
        installed <= LIMIT_SECONDS,
        {
            "answered_s": round(answered, 2),
            **ended,
            "all_installed_s": round(installed, 2),
            "all_converged_s": round(converged, 2),
            "generations": generations,
            **{f"cpu_{name}_s": seconds for name, seconds in spent.items()},
        },
    )
    yield Row(
        f"{name}: most memory of the api while {lines:,} certificates came in and went out",
        f"<= {LIMIT_MB} MB",
        f"{memory:.0f} MB",
        memory <= LIMIT_MB,
        {"body_mb": round(len(body) / 1e6, 1)},
    )


def _line(alias: str, der: bytes) -> bytes:
    told = {"alias": alias, "endpoint": endpoint(alias), "certificate": base64.b64encode(der).decode()}
    return json.dumps(told).encode() + b"\n"


def _sent(dev: Dev, body: bytes) -> str:
    """Send the body; return the batch's id."""
    headers = {"Authorization": f"Bearer {dev.admin_token}", "Content-Type": "application/x-ndjson"}
    with closing(http.client.HTTPConnection("127.0.0.1", dev.port, timeout=_LONGEST)) as connection:
        connection.request("POST", "/v1/certificates/bulk", body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert answer.status == http.HTTPStatus.ACCEPTED, told
    assert told["total_problems"] == 0, told
    return str(told["id"])


def _looked(client: Client, batch: str) -> dict[str, Any]:
    return client.get(f"/v1/batches/{batch}")


def _ended(url: str) -> dict[str, float]:
    """Return how many seconds after the batch had begun the last line was accepted, validated and applied."""
    of = operation.c
    moments = ("accepted_at", "validated_at", "applied_at")
    with closing(Database(url)) as database, database.reading() as transaction:
        begun, *last = transaction.execute(
            select(func.min(of.accepted_at), *(func.max(of[name]) for name in moments))
        ).one()
    return {
        f"last_{name.removesuffix('_at')}_s": round((at - begun).total_seconds(), 2)
        for name, at in zip(moments, last, strict=True)
    }


def _cpu_seconds(dev: Dev) -> dict[str, float]:
    """Return what each service has used so far, with its children: what counts where other work shares the machine."""
    used, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()
            number = int(path.parent.name)
            parents[number] = int(fields[1])
            used[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {
        name: sum(used[one] for one in used if process in {one, parents[one]})
        for name in dev.names
        if (process := dev.pid(name)) is not None
    }


def _megabytes(dev: Dev, name: str) -> float:
    status = Path(f"/proc/{dev.pid('api')}/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found, status
    return int(found[1]) / 1024
