"""The services of `trustcast dev` on a folder whose database holds many entries before anything was started on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.seeded import seed
from tests.dev_server import running_services
from trustcast.domain.head import HeadSigner
from trustcast.storage.session import Database
from trustcast_cli import data_folder
from trustcast_cli.services import Services


@contextlib.contextmanager
def running_seeded_services(folder: Path, *, entries: int) -> Iterator[Services]:
    """Seed, then run with one gateway; it may still be fetching when this yields."""
    with data_folder.opened(folder) as (made, _):
        data_folder.prepare(made, 1)
        with contextlib.closing(Database(made.database_url)) as database:
            seed(database, HeadSigner.from_pem(made.head_key.read_bytes()), entries)
    with running_services(folder, gateways=1) as running:
        yield running
