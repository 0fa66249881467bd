"""One upload, from the first byte of its POST to the moment that the third gateway has it: the dev set-up, unloaded.

The next upload is sent as soon as the last one is installed, while the gateways' reports on it are still on their way.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.gateway_files import GatewayFiles
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row, percentile, spread
from benchmarks.uploads import Client, body
from tests.dev_server import running_dev

P50_MS, P99_MS = 40.0, 200.0
WARM_UP = 10


@dataclass(frozen=True)
class Installed:
    """One upload: when it was sent (seconds since 1970), milliseconds until 202 and until each gateway had it."""

    operation: str
    sent_at: float
    accepted_ms: float
    gateways_ms: list[float]


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row."""
    uploads = 30 if quick else 200
    with tempfile.TemporaryDirectory() as folder, running_dev(Path(folder)) as dev:
        files = GatewayFiles(dev.folder, dev.gateways)
        with closing(Client(dev.port, dev.admin_token)) as client:
            made = list(certificates("upload", uploads + WARM_UP))
            seen = [_upload(client, files, alias, der) for alias, der in made][WARM_UP:]
            assert all(ours == {alias for alias, _ in made} for ours in files.ours())
            time.sleep(1)  # let the last reports arrive
            stories = [client.get(f"/v1/operations/{one.operation}") for one in seen]
    yield _row(seen, stories)


def _upload(client: Client, files: GatewayFiles, alias: str, der: bytes) -> Installed:
    sending, before = body(alias, der), files.profiles_now()
    sent_at, started = time.time(), time.perf_counter()
    operation = client.upload(sending)
    accepted = time.perf_counter()
    gateways = files.wait_for_new_profiles(before, 20)
    return Installed(
        operation, sent_at, (accepted - started) * 1000, sorted((one - started) * 1000 for one in gateways)
    )


def _row(seen: Sequence[Installed], stories: Sequence[dict[str, Any]]) -> Row:
    total = [one.gateways_ms[-1] for one in seen]
    p50, p99 = percentile(total, 50), percentile(total, 99)
    parts = {
        "to_202": [one.accepted_ms for one in seen],
        "sent_to_accepted": [_since(one, story["accepted_at"]) for one, story in zip(seen, stories, strict=True)],
        "to_validating": [_since(one, story["validated_at"]) for one, story in zip(seen, stories, strict=True)],
        "to_applying": [_since(one, story["applied_at"]) for one, story in zip(seen, stories, strict=True)],
        "to_first_gateway": [one.gateways_ms[0] for one in seen],
        "to_last_gateway": total,
        "to_converged": [_since(one, story["converged_at"]) for one, story in zip(seen, stories, strict=True)],
    }
    facts = {f"{name}_{key}_ms": value for name, values in parts.items() for key, value in spread(values).items()}
    return Row(
        f"one upload (POST sent) -> installed on three gateways, {len(seen)} one after another",
        f"p50 <= {P50_MS:g} ms, p99 <= {P99_MS:g} ms",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 <= P50_MS and p99 <= P99_MS,
        facts,
    )


def _since(one: Installed, moment: str) -> float:
    return (datetime.fromisoformat(moment).timestamp() - one.sent_at) * 1000
