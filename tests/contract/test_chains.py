"""What comes with a certificate is kept for as long as its operation may be asked for it, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.certificates import Made, authority, issued, self_signed
from tests.pipeline import Pipeline
from trustcast.domain.operation import Kind, State
from trustcast.storage import chains, validation
from trustcast.storage.session import Database
from trustcast.storage.tables import certificate, certificate_blob, operation_chain
from trustcast_api.request import Request
from trustcast_worker.validate_uploads import ATTEMPTS, LEASE

ROOT, INTERMEDIATE = authority("Root"), authority("Intermediate")


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database)


def add(pipeline: Pipeline, alias: str, made: Made | None = None, *chain: Made, endpoint: str = "") -> str:
    host = f"{alias}.example"
    return pipeline.accept(
        Request(
            kind=Kind.ADD,
            alias=alias,
            endpoint=endpoint or f"https://{host}:443",
            certificate=(made or issued(INTERMEDIATE, host)).der,
            chain=tuple(one.der for one in chain or (INTERMEDIATE, ROOT)),
        )
    )


def replace(pipeline: Pipeline, alias: str, made: Made, *chain: Made) -> str:
    kept = tuple(one.der for one in chain)
    return pipeline.accept(Request(kind=Kind.REPLACE, alias=alias, certificate=made.der, chain=kept))


def kept(pipeline: Pipeline, identity: str) -> list[bytes]:
    with pipeline.database.reading() as transaction:
        return chains.of(transaction, [identity, "another"]).get(identity, [])


def stored(pipeline: Pipeline) -> tuple[int, int]:
    """How many certificates, and how many places in chains."""
    with pipeline.database.reading() as transaction:
        bytes_, places = (
            transaction.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (certificate_blob, operation_chain)
        )
    return bytes_, places


def operation_of(pipeline: Pipeline, alias: str) -> str:
    with pipeline.database.reading() as transaction:
        found = select(certificate.c.operation).where(certificate.c.alias_key == alias)
        return str(transaction.execute(found).scalar_one())


def test_chain_is_kept_in_its_order_and_trusted_nowhere(pipeline: Pipeline) -> None:
    identity = add(pipeline, "web")
    pipeline.run()

    assert kept(pipeline, identity) == [INTERMEDIATE.der, ROOT.der]
    assert pipeline.trusted() == {"web"}
    pipeline.assert_sound()


def test_chain_of_two_is_stored_once(pipeline: Pipeline) -> None:
    add(pipeline, "web")
    add(pipeline, "shop")

    assert stored(pipeline) == (4, 4)


def test_rejected_request_leaves_nothing_of_its_chain(pipeline: Pipeline) -> None:
    identity = add(pipeline, "web", self_signed("web.example", days=0.01))
    pipeline.run()

    assert pipeline.operation(identity).state is State.REJECTED
    assert (kept(pipeline, identity), stored(pipeline)) == ([], (0, 0))


def test_chain_that_another_request_has_stays_when_one_is_rejected(pipeline: Pipeline) -> None:
    good = add(pipeline, "web")
    add(pipeline, "old", self_signed("old.example", days=0.01))
    pipeline.run()

    assert kept(pipeline, good) == [INTERMEDIATE.der, ROOT.der]
    assert stored(pipeline) == (3, 2)


def test_chain_member_that_is_trusted_elsewhere_stays_when_the_chain_goes(pipeline: Pipeline) -> None:
    pipeline.add("root", made=ROOT, ca=True)
    pipeline.run()

    add(pipeline, "old", self_signed("old.example", days=0.01), ROOT)
    pipeline.run()

    assert stored(pipeline) == (1, 0)
    assert pipeline.trusted() == {"root"}
    pipeline.assert_sound()


def test_conflict_leaves_nothing_of_its_chain(pipeline: Pipeline) -> None:
    add(pipeline, "web", None, INTERMEDIATE)
    late = add(pipeline, "web", None, ROOT, endpoint="https://other.example:443")
    pipeline.run()

    assert pipeline.operation(late).state is State.REJECTED
    assert (kept(pipeline, late), stored(pipeline)) == ([], (2, 1))


def test_failed_request_leaves_nothing_of_its_chain(pipeline: Pipeline) -> None:
    identity = add(pipeline, "web")
    for _ in range(ATTEMPTS):
        with pipeline.database.writing() as transaction:
            validation.claim(transaction, worker="dead", at=pipeline.at, lease=LEASE, attempts=ATTEMPTS, limit=9)
            transaction.commit()
        pipeline.at += LEASE + timedelta(seconds=1)
    pipeline.sweep()

    assert pipeline.operation(identity).state is State.FAILED
    assert (kept(pipeline, identity), stored(pipeline)) == ([], (0, 0))


def test_replacing_replaces_the_chain(pipeline: Pipeline) -> None:
    add(pipeline, "web")
    pipeline.run()

    replace(pipeline, "web", issued(ROOT, "web.example"), ROOT)
    pipeline.run()

    assert kept(pipeline, operation_of(pipeline, "web")) == [ROOT.der]


def test_end_of_a_rotation_takes_the_chain_over(pipeline: Pipeline) -> None:
    add(pipeline, "web")
    pipeline.run()
    following = issued(ROOT, "web.example")
    pipeline.accept(
        Request(kind=Kind.ADD, alias="web.next", rotation="web", certificate=following.der, chain=(ROOT.der,))
    )
    pipeline.run()

    pipeline.finish("web")
    pipeline.run()

    assert pipeline.entries() == {"web": following.fingerprint_sha256}
    assert kept(pipeline, operation_of(pipeline, "web")) == [ROOT.der]


def test_request_without_chain_has_none(pipeline: Pipeline) -> None:
    assert kept(pipeline, pipeline.add("web")) == []
