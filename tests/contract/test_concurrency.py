"""Several processes' worth of connections at once: what one has decided, no other decides again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from tests.certificates import Made, rsa_key, self_signed
from tests.pipeline import Pipeline
from trustcast.domain.errors import Conflict, NotFound
from trustcast.domain.operation import State
from trustcast.domain.truststore import Truststore
from trustcast.storage import audit, gateways, truststores, validation
from trustcast.storage.gateways import Phase, Report
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, certificate_blob, head, operation
from trustcast_worker.apply_changes import LostRaceError
from trustcast_worker.sign_heads import SIGN_AGAIN_AFTER
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE


def workers(url: str, count: int, *, per_endpoint: int | None = 1) -> list[Pipeline]:
    """Workers with connections of their own, as separate processes have, and one key."""
    first = Pipeline(Database(url), per_endpoint=per_endpoint, name="worker-0")
    others = [
        Pipeline(Database(url), per_endpoint=per_endpoint, name=f"worker-{number}", key=first.key, at=first.at)
        for number in range(1, count)
    ]
    return [first, *others]


def close(pipelines: list[Pipeline]) -> None:
    for one in pipelines:
        one.database.close()


def test_every_request_is_applied_once_however_many_workers_apply(database_url: str) -> None:
    pool_of = workers(database_url, 4)
    ids = [pool_of[0].add(f"web-{number}") for number in range(30)]
    pool_of[0].validate()
    for one in pool_of:
        one.later(seconds=1)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(Pipeline.apply, pool_of))

    assert sorted(one.id for outcome in outcomes for one in outcome.done) == sorted(ids)
    assert not [one for outcome in outcomes for one in outcome.refused]
    assert pool_of[0].status().generation == 1
    close(pool_of)


def test_applied_request_is_not_refused_by_a_worker_that_comes_second(postgres_url: str) -> None:
    """The second worker reads what waits, the first commits, the second looks who holds the alias: it is its own."""
    first, second = pool_of = workers(postgres_url, 2)
    operation = first.add("web")
    first.validate()
    for one in pool_of:
        one.later(seconds=1)
    with first.database.writing() as transaction:
        truststores.hold_all(transaction)  # both wait here, as close together as can be
        with ThreadPoolExecutor(2) as pool:
            outcomes = [pool.submit(one.apply) for one in pool_of]
            wait_for_blocked(first.database, 2)
            transaction.commit()

    assert sum(len(one.result().done) for one in outcomes) == 1
    assert sum(len(one.result().refused) for one in outcomes) == 0
    assert second.operation(operation).state is State.APPLIED
    close(pool_of)


def test_second_of_two_that_advance_at_once_loses(postgres_url: str) -> None:
    first, second = pool_of = workers(postgres_url, 2)
    content = truststores_content(first)

    def advance(pipeline: Pipeline) -> bool:
        with pipeline.database.writing() as transaction:
            won = truststores.advance(transaction, "default", expected=0, content=content, digest=content.digest())
            transaction.commit()
        return won

    with ThreadPoolExecutor(2) as pool, first.database.writing() as transaction:
        truststores.advance(transaction, "default", expected=0, content=content, digest=content.digest())
        late: Future[bool] = pool.submit(advance, second)
        wait_for_blocked(first.database, 1)
        transaction.commit()

    assert late.result() is False
    assert first.status().generation == 1
    close(pool_of)


def test_worker_whose_memory_is_ahead_of_the_truststore_changes_nothing(database_url: str) -> None:
    """Whatever made it so, the compare-and-swap has the last word."""

    class Ahead:
        def current(self, *_: object) -> tuple[int, Truststore]:
            return 7, Truststore()

    [pipeline] = workers(database_url, 1)
    operation = pipeline.add("web")
    pipeline.cache = Ahead()  # type: ignore[assignment]

    with pytest.raises(LostRaceError):
        pipeline.run()

    assert pipeline.operation(operation).state is State.VALIDATED
    assert pipeline.status().generation == 0
    close([pipeline])


def test_workers_that_validate_at_once_share_what_waits(database_url: str) -> None:
    pool_of = workers(database_url, 4)
    ids = [pool_of[0].add(f"web-{number}") for number in range(60)]

    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(Pipeline.validate, pool_of))

    assert sorted(one.operation.id for batch in verdicts for one in batch) == sorted(ids)
    close(pool_of)


def test_workers_that_saw_the_same_rows_lease_different_ones(postgres_url: str) -> None:
    """The second looks while the first has not committed, then waits for its rows."""
    first, second = pool_of = workers(postgres_url, 2)
    ids = [first.add(f"web-{number}") for number in range(5)]

    def claim(pipeline: Pipeline) -> list[str]:
        with pipeline.database.writing() as transaction:
            claimed = lease(pipeline, transaction)
            transaction.commit()
        return claimed

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        claimed = lease(first, transaction)
        late = pool.submit(claim, second)
        wait_for_blocked(second.database, 1, unless=late)
        transaction.commit()

    assert claimed == ids
    assert late.result() == []
    assert {first.operation(one).attempts for one in ids} == {1}
    close(pool_of)


def lease(pipeline: Pipeline, transaction: Connection) -> list[str]:
    claimed = validation.claim(
        transaction, worker=pipeline.name, at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=10
    )
    return [one.id for one in claimed]


def weak(number: int) -> Made:
    return self_signed(f"web-{number}.example", key=rsa_key(1024))


def test_bytes_that_two_workers_refuse_at_once_are_gone(database_url: str) -> None:
    """Each of two transactions would see the other's request still using the bytes."""
    pool_of = workers(database_url, 2)
    for number in range(6):
        made = weak(number)
        # One request each: the first worker claims the older one before the second is there.
        pool_of[0].add(f"a-{number}", made=made)
        barrier = threading.Barrier(2)

        def validate(
            pipeline: Pipeline, made: Made = made, meet: threading.Barrier = barrier, name: int = number
        ) -> None:
            if pipeline.name == "worker-1":
                pipeline.add(f"b-{name}", made=made)
            meet.wait()
            pipeline.validate()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(validate, pool_of))
        pool_of[0].validate()

    assert blobs(pool_of[0].database) == 0
    close(pool_of)


def test_upload_of_bytes_that_are_just_being_refused_is_accepted(database_url: str) -> None:
    pool_of = workers(database_url, 2)
    for number in range(10):
        made = weak(number)
        pool_of[0].add(f"a-{number}", made=made)
        barrier = threading.Barrier(2)

        def refuse(meet: threading.Barrier = barrier) -> None:
            meet.wait()
            pool_of[0].validate()

        def accept(meet: threading.Barrier = barrier, made: Made = made, name: int = number) -> str:
            meet.wait()
            return pool_of[1].add(f"b-{name}", made=made)

        with ThreadPoolExecutor(2) as pool:
            refused, accepted = pool.submit(refuse), pool.submit(accept)
            refused.result()
            operation = accepted.result()
        pool_of[0].validate()
        assert pool_of[0].operation(operation).state is State.REJECTED

    assert blobs(pool_of[0].database) == 0
    close(pool_of)


def test_audit_chain_holds_when_many_write_at_once(database_url: str) -> None:
    pool_of = workers(database_url, 4, per_endpoint=None)

    def live(pipeline: Pipeline) -> None:
        for number in range(5):
            pipeline.add(f"{pipeline.name}-{number}")
            pipeline.validate()
            pipeline.at += timedelta(seconds=1)
            pipeline.apply()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, pool_of))
    pool_of[0].later(seconds=10)
    while pool_of[0].validate() or pool_of[0].apply():
        pass

    with pool_of[0].database.reading() as transaction:
        audit.verify(transaction)
        applied = select(func.count()).where(audit_event.c.action == "operation.applied")
        assert transaction.execute(applied).scalar_one() == 20
    assert len(pool_of[0].trusted()) == 20
    close(pool_of)


def truststores_content(pipeline: Pipeline) -> Truststore:
    with pipeline.database.reading() as transaction:
        return truststores.content(transaction, "default")


def blobs(database: Database) -> int:
    with database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(certificate_blob)).scalar_one()


def test_head_is_not_signed_while_somebody_advances(postgres_url: str) -> None:
    """What was read before the other's commit must not be signed after it."""
    first, second = pool_of = workers(postgres_url, 2)
    first.add("web")
    first.run()
    second.at = first.at + SIGN_AGAIN_AFTER

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        content = truststores.content(transaction, "default")
        truststores.advance(transaction, "default", expected=1, content=content, digest=content.digest())
        late = pool.submit(second.sign)
        wait_for_blocked(first.database, 1, unless=late)
        transaction.commit()

    late.result()
    with first.database.reading() as transaction:
        assert transaction.execute(select(func.count()).select_from(head)).scalar_one() == 1
    close(pool_of)


def test_report_waits_for_the_one_before_it(postgres_url: str) -> None:
    """Each would see the other gateway where it was, and nobody would say that the operation has converged."""
    first, second = pool_of = workers(postgres_url, 2)
    first.enrol("g1", "g2")
    operation = first.add("web")
    first.run()
    told = Report(generation=1, entries_sha256=first.status().entries_sha256, phase=Phase.INSTALLED)

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        gateways.take_turns(transaction)
        gateways.record(transaction, "g1", told, at=first.at)
        late = pool.submit(second.report, "g2", 1)
        wait_for_blocked(first.database, 1, unless=late)
        transaction.commit()

    late.result()
    assert first.operation(operation).converged_at is not None
    close(pool_of)


def test_report_and_request_for_what_is_installed_see_each_other(postgres_url: str) -> None:
    """The request changes nothing, so its generation may be reported in the very moment in which it is applied."""
    first, second = pool_of = workers(postgres_url, 2)
    made = self_signed("web.example")
    first.enrol("g1")
    first.add("web", made=made)
    first.run()
    same = second.replace("web", made)
    second.validate()
    second.later(seconds=1)
    told = Report(generation=1, entries_sha256=first.status().entries_sha256, phase=Phase.INSTALLED)

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        gateways.take_turns(transaction)
        gateways.record(transaction, "g1", told, at=first.at)
        late = pool.submit(second.apply)
        wait_for_blocked(first.database, 1, unless=late)
        transaction.commit()

    assert [one.id for one in late.result().done] == [same]
    assert first.operation(same).converged_at is not None
    close(pool_of)


def test_request_converges_when_the_last_gateway_retires_while_it_is_applied(postgres_url: str) -> None:
    """Either the retirement sees the request, or applying sees that nobody is left to wait for."""
    first, second = pool_of = workers(postgres_url, 2)
    first.enrol("g1")
    operation = first.add("web")
    first.validate()
    second.later(seconds=1)

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        gateways.take_turns(transaction)
        gateways.enrol(transaction, [], at=first.at)
        late = pool.submit(second.apply)
        wait_for_blocked(first.database, 1, unless=late)
        transaction.commit()

    assert [one.id for one in late.result().done] == [operation]
    assert first.operation(operation).converged_at is not None
    close(pool_of)


def test_environment_that_comes_while_a_worker_waits_gets_its_share(postgres_url: str) -> None:
    first, second = pool_of = workers(postgres_url, 2)
    waiting = first.add("web")
    first.validate()
    second.later(seconds=1)

    with ThreadPoolExecutor(1) as pool, first.database.writing() as transaction:
        truststores.hold_all(transaction)
        late = pool.submit(second.apply)
        wait_for_blocked(first.database, 1, unless=late)
        Pipeline(first.database).environment("another", "hybrid")
        transaction.commit()

    assert [one.id for one in late.result().done] == [waiting]
    assert second.apply().looked_again
    assert second.trusted("another") == {"web"}
    second.assert_sound()
    close(pool_of)


WEB = "https://web.example:443"
ALIASES = ("a", "b", "c")


def do_something(pipeline: Pipeline, chance: random.Random) -> str | None:
    """Ask for one thing, whatever comes of it; return the operation, if it became one."""
    alias, made = chance.choice(ALIASES), CERTIFICATES[chance.randrange(len(CERTIFICATES))]
    what: list[Callable[[], str | None]] = [
        lambda: pipeline.add(alias, WEB, made),
        lambda: pipeline.add(alias, "", made),
        lambda: pipeline.replace(alias, made),
        lambda: pipeline.delete(alias, force=chance.random() < 0.5),
        lambda: pipeline.rotate(alias, made),
        lambda: pipeline.finish(alias),
        lambda: pipeline.cancel(alias),
        lambda: pipeline.environment("live", chance.choice(["production", "sandbox", "hybrid"])),
        lambda: pipeline.api(f"{pipeline.name}-{chance.random()}", production=WEB),
        lambda: pipeline.api(f"{pipeline.name}-{chance.random()}", sandbox=WEB),
    ]
    try:
        return chance.choice(what[:-3] * 3 + what[-3:])()
    except (Conflict, NotFound):
        return None


CERTIFICATES = [self_signed(f"{alias}.example") for alias in (*ALIASES, *ALIASES, "web", "web")]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_many_ask_for_and_apply_at_once_all_is_where_it_belongs(database_url: str, seed: int) -> None:
    pool_of = workers(database_url, 4, per_endpoint=None)

    def live(pipeline: Pipeline) -> list[str]:
        chance, asked = random.Random(f"{seed} {pipeline.name}"), []
        for _ in range(12):
            asked += [do_something(pipeline, chance) for _ in range(chance.randrange(1, 4))]
            pipeline.validate()
            pipeline.at += timedelta(seconds=1)
            pipeline.apply()
        return [one for one in asked if one is not None]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, pool_of))
    pool_of[0].later(seconds=60)
    while pool_of[0].validate() or pool_of[0].apply():
        pass

    with pool_of[0].database.reading() as transaction:
        states = select(operation.c.state, func.count()).group_by(operation.c.state)
        assert {row[0] for row in transaction.execute(states)} <= {"applied", "rejected"}
    pool_of[0].assert_sound()
    close(pool_of)


def wait_for_blocked(database: Database, count: int, *, unless: Future[Any] | None = None) -> None:
    """Return when `count` PostgreSQL sessions of this database wait for a lock, or when `unless` did not have to."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(2000):
        if unless is not None and unless.done():
            return
        with database.reading() as transaction:
            if transaction.execute(waiting).scalar_one() >= count:
                return
        threading.Event().wait(0.005)
    raise AssertionError("nobody waits")
