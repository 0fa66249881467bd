"""The worker alone: validate and apply one change, at 10,000 entries and at 100; without queue, api or gateways."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.databases import KINDS
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row, spread
from benchmarks.seeded import accept, seed, work
from trustcast.domain.head import HeadSigner
from trustcast.storage.session import Database
from trustcast_worker.truststore_cache import TruststoreCache

FEW, MANY = 100, 10_000
LIMIT_MS = 25.0


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield one row for SQLite, and one for PostgreSQL where the wheel with its server is installed."""
    changes = 20 if quick else 100
    many = 2_000 if quick else MANY
    for name, database_url in KINDS.items():
        taken = {}
        for entries in (FEW, many):
            with tempfile.TemporaryDirectory() as folder, database_url(Path(folder)) as url:
                taken[entries] = _milliseconds(url, entries, changes)
        yield _row(name, taken[FEW], taken[many], many)


def _row(name: str, few: list[float], many: list[float], entries: int) -> Row:
    median, factor = statistics.median(many), statistics.median(many) / statistics.median(few)
    return Row(
        f"worker, {name}: validate + apply one change at {entries:,} entries",
        f"median <= {LIMIT_MS:g} ms, <= 2 x the same at {FEW}",
        f"{median:.1f} ms, {factor:.2f} x",
        median <= LIMIT_MS and factor <= 2,
        {f"at_{entries}_{key}_ms": value for key, value in spread(many).items()}
        | {f"at_{FEW}_{key}_ms": value for key, value in spread(few).items()},
    )


def _milliseconds(url: str, entries: int, changes: int) -> list[float]:
    signer, cache, taken = _signer(), TruststoreCache(), []
    with closing(Database(url)) as database:
        seed(database, signer, entries)
        for number, certificate in enumerate(certificates("added", changes + 1)):
            accept(database, [certificate])
            started = time.perf_counter()
            work(database, signer, cache)
            if number:  # the first fills the cache, once in a worker's life
                taken.append((time.perf_counter() - started) * 1000)
    return taken


def _signer() -> HeadSigner:
    return HeadSigner.from_pem(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
