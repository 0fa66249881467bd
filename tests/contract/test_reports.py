"""What gateways report, and when an operation has reached them all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from tests.pipeline import Pipeline
from tests.served_api import add_environment
from trustcast.domain.errors import Rejected
from trustcast.storage import arrivals, gateways, truststores
from trustcast.storage.gateways import Enrolled, Phase, Report
from trustcast.storage.session import Database
from trustcast.storage.tables import gateway_report
from trustcast_api.record_report import record_report


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    """Three gateways, two generations."""
    pipeline = Pipeline(database)
    pipeline.enrol("g1", "g2", "g3")
    for alias in ("a", "b"):
        pipeline.add(alias)
        pipeline.run()
    return pipeline


def history(pipeline: Pipeline) -> int:
    with pipeline.database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(gateway_report)).scalar_one()


def test_gateway_that_never_spoke_stands_at_nothing(pipeline: Pipeline) -> None:
    standing = pipeline.standing("g1")

    assert (standing.generation, standing.phase, standing.reported_at) == (0, None, None)


def test_report_is_kept(pipeline: Pipeline) -> None:
    pipeline.report("g1", 2)

    standing = pipeline.standing("g1")
    assert (standing.generation, standing.phase, standing.reported_at) == (2, "installed", pipeline.at)
    assert standing.entries_sha256 == pipeline.status().entries_sha256


def test_late_report_does_not_lower_the_generation(pipeline: Pipeline) -> None:
    pipeline.report("g1", 2)

    pipeline.report("g1", 1)

    assert pipeline.standing("g1").generation == 2


def test_digest_that_was_not_signed_for_the_generation_is_a_failure(pipeline: Pipeline) -> None:
    pipeline.report("g1", 1)

    pipeline.report("g1", 2, digest="f" * 64)

    standing = pipeline.standing("g1")
    assert (standing.generation, standing.phase, standing.code) == (1, "failed", "entries_mismatch")


@pytest.mark.parametrize("digest", [None, "f" * 64])
def test_generation_that_does_not_exist_is_a_failure(pipeline: Pipeline, digest: str | None) -> None:
    pipeline.report("g1", 99, digest=digest)

    standing = pipeline.standing("g1")
    assert (standing.generation, standing.phase) == (0, "failed")


def test_success_without_a_digest_is_a_failure(pipeline: Pipeline) -> None:
    told = Report(generation=2, entries_sha256=None, phase=Phase.INSTALLED)

    record_report(pipeline.database, told, gateway="g1", environment="default", at=pipeline.at)

    assert (pipeline.standing("g1").generation, pipeline.standing("g1").phase) == (0, "failed")


def test_failure_keeps_the_generation_and_says_why(pipeline: Pipeline) -> None:
    pipeline.report("g1", 2)

    pipeline.report("g1", 1, phase=Phase.FAILED, code="disk_full", detail="The disk is full.")

    standing = pipeline.standing("g1")
    assert (standing.generation, standing.phase, standing.code) == (2, "failed", "disk_full")


def test_recovery_is_news(pipeline: Pipeline) -> None:
    pipeline.report("g1", 2)
    pipeline.report("g1", 2, phase=Phase.FAILED, code="disk_full")

    pipeline.report("g1", 2)

    assert (pipeline.standing("g1").phase, pipeline.standing("g1").code) == ("installed", None)
    assert history(pipeline) == 3


def test_heartbeat_moves_the_time_and_makes_no_history(pipeline: Pipeline) -> None:
    pipeline.report("g1", 2)
    pipeline.later(seconds=30)

    pipeline.report("g1", 2)

    assert (pipeline.standing("g1").reported_at, history(pipeline)) == (pipeline.at, 1)


def test_operation_converges_when_the_last_gateway_has_it(pipeline: Pipeline) -> None:
    operation = pipeline.add("c")
    pipeline.run()
    moments = []
    for gateway in ("g1", "g2", "g3"):
        pipeline.later(seconds=1)
        pipeline.report(gateway, 3)
        moments.append(pipeline.operation(operation).converged_at)

    assert moments == [None, None, pipeline.at]


def test_gateway_that_skips_a_generation_has_both(pipeline: Pipeline) -> None:
    operations = [pipeline.add("c")]
    pipeline.run()
    operations.append(pipeline.add("d"))
    pipeline.run()
    for gateway in ("g1", "g2"):
        pipeline.report(gateway, 3)

    for gateway in ("g1", "g2", "g3"):
        pipeline.report(gateway, 4)

    assert [pipeline.operation(one).converged_at for one in operations] == [pipeline.at, pipeline.at]


def test_failed_gateway_holds_convergence_back(pipeline: Pipeline) -> None:
    operation = pipeline.add("c")
    pipeline.run()
    for gateway in ("g1", "g2"):
        pipeline.report(gateway, 3)

    pipeline.report("g3", 3, phase=Phase.FAILED, code="disk_full")

    assert pipeline.operation(operation).converged_at is None


def test_moment_of_convergence_is_not_moved_by_later_reports(pipeline: Pipeline) -> None:
    operation = pipeline.add("c")
    pipeline.run()
    for gateway in ("g1", "g2", "g3"):
        pipeline.report(gateway, 3)
    converged_at = pipeline.at
    pipeline.later(seconds=30)

    for gateway in ("g1", "g2", "g3"):
        pipeline.report(gateway, 3)

    assert pipeline.operation(operation).converged_at == converged_at


def test_gateways_of_another_environment_hold_nothing_back(database: Database) -> None:
    """There the same operation has a generation, too, but a gateway only answers for its own environment's."""
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.run()
    add_environment(database.engine.url.render_as_string(hide_password=False), "other")
    operation = pipeline.add("b")
    with database.writing() as transaction:
        both = [Enrolled("g1", "default", "a" * 64), Enrolled("elsewhere", "other", "b" * 64)]
        gateways.enrol(transaction, both, at=pipeline.at)
        transaction.commit()
    pipeline.run()

    with database.reading() as transaction:
        assert arrivals.generations(transaction, operation) == {"default": 2, "other": 1}
        signed = truststores.digest_of(transaction, "other", 1)
    report = Report(generation=1, entries_sha256=signed, phase=Phase.INSTALLED)
    record_report(database, report, gateway="elsewhere", environment="other", at=pipeline.at)
    assert pipeline.operation(operation).converged_at is None

    pipeline.report("g1", 2)

    assert pipeline.operation(operation).converged_at == pipeline.at


def test_environment_without_gateways_converges_at_once(database: Database) -> None:
    pipeline = Pipeline(database)
    operation = pipeline.add("a")

    pipeline.run()

    assert pipeline.operation(operation).converged_at == pipeline.at


def test_arrivals_name_the_first_report_of_each_gateway(pipeline: Pipeline) -> None:
    operation = pipeline.add("c")
    pipeline.run()
    pipeline.report("g1", 3)
    arrived = pipeline.at
    pipeline.later(seconds=1)
    pipeline.add("d")
    pipeline.run()
    pipeline.report("g1", 4)
    pipeline.report("g2", 4)

    with pipeline.database.reading() as transaction:
        arrivals = gateways.arrivals(transaction, operation)

    assert [(one.name, one.generation) for one in arrivals] == [("g1", 3), ("g2", 4)]
    assert arrivals[0].at == arrived


def test_reports_that_come_at_once_converge_all_the_same(pipeline: Pipeline) -> None:
    """Each of two transactions would see the other gateway where it was, and nobody would say `converged`."""
    for number in range(8):
        operation = pipeline.add(f"web-{number}")
        generation = pipeline.run() and pipeline.status().generation

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda name, at=generation: pipeline.report(name, at), ("g1", "g2", "g3")))

        assert pipeline.operation(operation).converged_at is not None


def test_gateway_that_moved_has_told_nothing_there_yet(pipeline: Pipeline) -> None:
    pipeline.enrol("g1", "g2", "g3")
    pipeline.environment("other", "hybrid")
    pipeline.run()
    pipeline.report("g1", 2)

    pipeline.enrol("g1", environment="other")

    assert standing_in(pipeline, "other") == (0, None, None)
    operation = pipeline.add("c")
    pipeline.run()
    assert pipeline.operation(operation).converged_at is None


def test_late_report_from_where_a_gateway_was_is_refused(pipeline: Pipeline) -> None:
    """Another process of the api may take the gateway for one of its old environment, for a moment."""
    pipeline.environment("other", "hybrid")
    pipeline.run()
    pipeline.enrol("g1", environment="other")

    with pytest.raises(Rejected, match="another environment"):
        pipeline.report("g1", 2)

    assert standing_in(pipeline, "other") == (0, None, None)
    assert history(pipeline) == 0


def standing_in(pipeline: Pipeline, environment: str) -> tuple[int, str | None, object]:
    with pipeline.database.reading() as transaction:
        [one] = gateways.in_environment(transaction, environment)
    return one.generation, one.phase, one.reported_at
