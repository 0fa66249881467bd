"""Whatever is asked for, and however verdicts are delayed: it comes out as if one request had been taken at a time."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from tests.certificates import ec_key, self_signed
from tests.contract.test_replace import hold_back
from tests.databases import SqliteFiles
from tests.pipeline import ADMIN, Pipeline
from trustcast.domain.errors import TrustcastError
from trustcast.domain.operation import ENDED, State
from trustcast.storage import blobs, operations
from trustcast.storage.operations import Operation
from trustcast.storage.session import Database
from trustcast.storage.tables import api, api_endpoint, certificate, operation

TENANT = 5
HOSTS = ("a.x.example", "b.x.example", "c.example")
ALIASES = ("a", "b", "c", "d")
KEY = ec_key()
CERTIFICATES = [self_signed(host, key=KEY) for host in (*HOSTS, *HOSTS, "*.x.example")]
ROUNDS = 30


@pytest.mark.parametrize("seed", range(5))
def test_outcome_is_that_of_one_request_at_a_time(
    database: Database, seed: int, sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    pipeline = furnished(database, per_endpoint=chance.choice([1, 2, None]))
    for number in range(chance.randrange(4)):
        urls = [chance.choice(["", *(f"https://{host}" for host in HOSTS)]) for _ in range(2)]
        pipeline.api(f"api-{number}", production=urls[0], sandbox=urls[1])
    pipeline.run()

    history(pipeline, chance)

    (tmp_path / "one-at-a-time").mkdir()
    other = Database(sqlite_files.fresh(tmp_path / "one-at-a-time"))
    expected = one_at_a_time(pipeline, furnished(other, per_endpoint=pipeline.per_endpoint))
    assert (outcome(pipeline), trusted(pipeline)) == (outcome(expected), trusted(expected))
    pipeline.assert_sound()
    other.close()


def furnished(database: Database, *, per_endpoint: int | None) -> Pipeline:
    pipeline = Pipeline(database, per_endpoint=per_endpoint)
    pipeline.tenant(TENANT)
    pipeline.environment("live", "production")
    pipeline.environment("try", "sandbox")
    return pipeline


def history(pipeline: Pipeline, chance: random.Random) -> None:
    """Ask for this and that, while verdicts come late, until all is decided."""
    tenant = replace(ADMIN, name="other", tenant_id=TENANT)
    for _ in range(ROUNDS):
        alias, made = chance.choice(ALIASES), chance.choice(CERTIFICATES)
        who, at = chance.choice([ADMIN, ADMIN, tenant]), f"https://{chance.choice(HOSTS)}:443"
        ask: list[Callable[..., object]] = [
            lambda: pipeline.add(alias, at, made, who=who),  # noqa: B023 - called at once
            lambda: pipeline.add(f"{alias}.next", at, made, who=who),  # noqa: B023
            lambda: pipeline.replace(alias, made, who=who),  # noqa: B023
            lambda: pipeline.delete(alias, who=who),  # noqa: B023
            lambda: pipeline.delete(alias, force=True, who=who),  # noqa: B023
            lambda: pipeline.rotate(alias, made),  # noqa: B023
            lambda: pipeline.finish(alias),  # noqa: B023
            lambda: pipeline.cancel(alias),  # noqa: B023
        ]
        with contextlib.suppress(TrustcastError):  # refused at the door
            chance.choices(ask, [8, 1, 2, 2, 2, 2, 1, 1])[0]()
        # What a slow worker took before is all that has no verdict yet.
        verdicts: list[Callable[[], object]] = [pipeline.validate, lambda: hold_back(pipeline)]
        then: list[Callable[[], object]] = [pipeline.run, lambda: pipeline.later(seconds=1), lambda: None]
        for some in (verdicts, then):
            chance.choice(some)()
    while any(one.state not in ENDED for one in asked(pipeline)):
        pipeline.later(seconds=11)
        pipeline.run()


def one_at_a_time(pipeline: Pipeline, oracle: Pipeline) -> Pipeline:
    """Give the operations that `pipeline` found good to `oracle`, each after the one before it was decided."""
    ders = {one.fingerprint_sha256: one.der for one in CERTIFICATES}
    with pipeline.database.reading() as source, oracle.database.writing() as transaction:
        for table in (api, api_endpoint):
            for row in source.execute(select(table)).mappings():
                transaction.execute(insert(table), dict(row))
        transaction.commit()
    for one in asked(pipeline):
        with oracle.database.writing() as transaction:
            if one.fingerprint_sha256 is not None:
                blobs.keep(transaction, ders[one.fingerprint_sha256])
            again = replace(one, state=State.VALIDATED, certificate=one.fingerprint_sha256, problem=None, warnings=())
            operations.add(transaction, again)
            transaction.commit()
        oracle.later(seconds=1)
        oracle.apply()
    return oracle


def asked(pipeline: Pipeline) -> list[Operation]:
    """All that was accepted, in order."""
    with pipeline.database.reading() as transaction:
        names = transaction.execute(select(operation.c.tenant_id, operation.c.id).order_by(operation.c.sequence)).all()
        return [operations.get(transaction, *name) for name in names]


def outcome(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    return [(one.kind, one.alias, one.problem["code"] if one.problem else one.state) for one in asked(pipeline)]


def trusted(pipeline: Pipeline) -> set[tuple[object, ...]]:
    of = certificate.c
    with pipeline.database.reading() as transaction:
        rows = transaction.execute(select(of.tenant_id, of.alias_key, of.endpoint, of.fingerprint_sha256, of.rotates))
        return {tuple(row) for row in rows}
