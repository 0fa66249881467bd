"""A database that already holds many entries, made by the use cases themselves, in batches instead of over HTTP."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.many_certificates import certificates, endpoint
from trustcast.domain.head import HeadSigner
from trustcast.domain.operation import Kind
from trustcast.domain.policy import Policy
from trustcast.storage import blobs, migrate, operations
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast_worker.apply_changes import apply_changes
from trustcast_worker.truststore_cache import TruststoreCache
from trustcast_worker.validate_uploads import BATCH, validate_uploads

Named = tuple[str, bytes]


def seed(database: Database, signer: HeadSigner, entries: int) -> None:
    """Migrate the database and give environment `default` so many entries."""
    migrate.upgrade(database)
    cache = TruststoreCache()
    made = certificates("seeded", entries)
    while batch := list(itertools.islice(made, BATCH)):
        accept(database, batch)
        work(database, signer, cache)


def accept(database: Database, batch: Sequence[Named]) -> None:
    """Write uploads down in one commit, as the api would one by one."""
    with database.writing() as transaction:
        for alias, der in batch:
            sha256 = blobs.keep(transaction, der)
            operations.add(
                transaction,
                Operation(
                    id=str(uuid.uuid4()),
                    kind=Kind.ADD,
                    alias=alias,
                    endpoint=endpoint(alias),
                    certificate=sha256,
                    fingerprint_sha256=sha256,
                    accepted_at=datetime.now(UTC),
                    requested_by="benchmark",
                ),
            )
        transaction.commit()


def work(database: Database, signer: HeadSigner, cache: TruststoreCache) -> None:
    """Do what the worker does after an upload: validate, then apply."""
    assert validate_uploads(database, policy=Policy(), worker="benchmark", now=lambda: datetime.now(UTC))
    done = apply_changes(database, signer=signer, cache=cache, policy=Policy(), at=datetime.now(UTC))
    assert done.done
    assert not done.refused
