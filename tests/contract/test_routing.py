"""Which environments a certificate is in follows the APIs that call its endpoint and the environments' types."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import event, func, select

from tests.certificates import self_signed
from tests.contract.test_apply_changes import fates
from tests.pipeline import Pipeline, Postbox
from tests.published import api, change, register
from trustcast.domain.messages import OperationValidated, TruststoreChanged
from trustcast.storage import outbox, routing
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, head, routing_due
from trustcast_api.drainer import Drainer
from trustcast_worker.apply_changes import blame

WEB = "https://web.example:443"


@pytest.fixture
def pipeline(database: Database) -> Iterator[Pipeline]:
    """A worker with an environment of each type; whatever a test does, at its end everything is where it belongs."""
    pipeline = Pipeline(database, per_endpoint=None)
    pipeline.environment("live", "production")
    pipeline.environment("try", "sandbox")
    pipeline.run()
    yield pipeline
    while pipeline.run():
        pass
    pipeline.assert_sound()


def where(pipeline: Pipeline, alias: str) -> set[str]:
    return {name for name in ("default", "live", "try") if alias in pipeline.trusted(name)}


def generations(pipeline: Pipeline) -> tuple[int, int, int]:
    return tuple(pipeline.status(name).generation for name in ("default", "live", "try"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({}, {"default", "live", "try"}),
        ({"production"}, {"default", "live"}),
        ({"sandbox"}, {"default", "try"}),
        ({"production", "sandbox"}, {"default", "live", "try"}),
    ],
)
def test_certificate_goes_where_its_endpoint_is_called(pipeline: Pipeline, roles: set[str], expected: set[str]) -> None:
    urls = {role: "https://WEB.example/menu" if role in roles else "" for role in ("production", "sandbox")}
    pipeline.api("Pizza", **urls)  # type: ignore[arg-type]

    operation = pipeline.add("web")
    pipeline.run()

    assert where(pipeline, "web") == expected
    assert pipeline.generations(operation) == dict.fromkeys(expected, 1)


def test_two_apis_that_call_an_endpoint_in_two_roles_need_it_everywhere(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.api("Pasta", sandbox=WEB)
    pipeline.add("web")
    pipeline.run()

    assert where(pipeline, "web") == {"default", "live", "try"}


def test_api_of_a_type_that_takes_no_certificates_decides_nothing(pipeline: Pipeline) -> None:
    register(pipeline.database, api("Socket", sandbox=WEB, type="WS"))
    pipeline.api("Pizza", production=WEB)
    pipeline.add("web", WEB)
    pipeline.run()

    assert where(pipeline, "web") == {"default", "live"}


def test_api_that_becomes_one_of_another_type_decides_no_longer(pipeline: Pipeline) -> None:
    id_ = pipeline.api("Pizza", sandbox=WEB)
    pipeline.add("web", WEB)
    pipeline.run()

    change(pipeline.database, id_, api("Pizza", sandbox=WEB, type="WS"))
    pipeline.later(seconds=1)
    pipeline.apply()
    assert where(pipeline, "web") == {"default", "live", "try"}

    change(pipeline.database, id_, api("Pizza", sandbox=WEB, type="HTTP/SOAP"))
    pipeline.later(seconds=1)
    pipeline.apply()
    assert where(pipeline, "web") == {"default", "try"}


NAMED = pytest.mark.parametrize("sans", [["a.x.example", "b.x.example"], ["*.x.example"]], ids=["name", "wildcard"])
A, B = "https://a.x.example:443", "https://b.x.example:8443"


@NAMED
def test_certificate_goes_also_where_hosts_that_it_names_are_called(pipeline: Pipeline, sans: list[str]) -> None:
    pipeline.api("Live", production=A)
    pipeline.api("Try", sandbox=B)
    operation = pipeline.add("both", A, self_signed("a.x.example", sans=sans))
    pipeline.run()

    assert where(pipeline, "both") == {"default", "live", "try"}
    assert pipeline.generations(operation) == {"default": 1, "live": 1, "try": 1}


@NAMED
def test_api_at_a_certificates_endpoint_withdraws_it_from_no_api_that_it_serves_by_name(
    pipeline: Pipeline, sans: list[str]
) -> None:
    pipeline.add("both", A, self_signed("a.x.example", sans=sans))
    pipeline.api("Try", sandbox=B)
    pipeline.run()

    pipeline.api("Live", production=A)
    pipeline.run()

    assert where(pipeline, "both") == {"default", "live", "try"}


@NAMED
def test_certificate_moves_when_an_api_that_calls_a_host_it_names_comes_and_goes(
    pipeline: Pipeline, sans: list[str]
) -> None:
    pipeline.api("Live", production=A)
    pipeline.add("both", A, self_signed("a.x.example", sans=sans))
    pipeline.run()
    assert where(pipeline, "both") == {"default", "live"}

    api = pipeline.api("Try", sandbox=B)
    pipeline.run()
    assert where(pipeline, "both") == {"default", "live", "try"}

    pipeline.remove_api(api)
    pipeline.run()
    assert where(pipeline, "both") == {"default", "live"}


def test_successor_goes_where_its_own_names_are_called(pipeline: Pipeline) -> None:
    pipeline.api("Live", production=A)
    pipeline.api("Try", sandbox=B)
    pipeline.add("wild", A, self_signed("*.x.example"))
    pipeline.run()

    operation = pipeline.replace("wild", self_signed("a.x.example"), force=True)
    pipeline.run()

    assert where(pipeline, "wild") == {"default", "live"}
    assert pipeline.generations(operation) == {"default": 2, "live": 2, "try": 2}


def test_nothing_but_the_tenants_own_apis_and_a_servers_names_count(pipeline: Pipeline) -> None:
    pipeline.api("Live", production=A)
    pipeline.api("Theirs", sandbox=B, who=pipeline.tenant(7))
    pipeline.api("Deeper", sandbox="https://c.b.x.example")
    pipeline.api("Named", sandbox="https://ca.example")
    register(pipeline.database, api("Socket", sandbox=B, type="WS"))
    pipeline.add("wild", A, self_signed("*.x.example"))
    pipeline.add("ca", A, self_signed("ca.example", ca=True), ca=True)
    pipeline.run()

    assert where(pipeline, "wild") == where(pipeline, "ca") == {"default", "live"}


def test_environment_advances_only_when_something_changes_in_it(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.add("web")
    pipeline.run()

    assert generations(pipeline) == (1, 1, 0)
    with pipeline.database.reading() as transaction:
        signed = transaction.execute(select(head.c.environment)).scalars().all()
    assert sorted(signed) == ["default", "live"]


def test_only_environments_that_advanced_are_told_of(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.add("web")
    pipeline.run()

    postbox = Postbox()
    outbox.drain(pipeline.database, postbox, only=[TruststoreChanged])

    assert sorted(str(one) for one in postbox.taken) == [
        str(TruststoreChanged("default", 1)),
        str(TruststoreChanged("live", 1)),
    ]


def test_certificate_moves_when_an_api_comes_and_when_it_goes(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()

    api = pipeline.api("Pizza", sandbox=WEB)
    pipeline.run()
    assert where(pipeline, "web") == {"default", "try"}
    assert generations(pipeline) == (1, 2, 1)

    pipeline.remove_api(api)
    pipeline.run()
    assert where(pipeline, "web") == {"default", "live", "try"}
    assert generations(pipeline) == (1, 3, 1)


def test_move_leaves_one_environment_and_enters_another_in_one_commit(pipeline: Pipeline) -> None:
    api = pipeline.api("Pizza", sandbox=WEB)
    pipeline.add("web")
    pipeline.run()
    pipeline.remove_api(api)
    pipeline.api("Pizza", production=WEB)

    pipeline.run()

    assert where(pipeline, "web") == {"default", "live"}
    assert generations(pipeline) == (1, 1, 2)


def test_new_environment_gets_what_belongs_there(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.api("Pasta", sandbox="https://try.example")
    for alias in ("web", "try", "free"):
        pipeline.add(alias)
    pipeline.run()

    pipeline.environment("new", "production")
    pipeline.run()

    assert pipeline.trusted("new") == {"web", "free"}
    assert pipeline.head("new").generation == 1
    assert generations(pipeline) == (1, 1, 1)


def test_environment_that_changes_its_type_changes_what_it_holds(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.api("Pasta", sandbox="https://try.example")
    pipeline.add("web")
    pipeline.add("try")
    pipeline.run()

    pipeline.environment("live", "sandbox")
    pipeline.run()

    assert pipeline.trusted("live") == {"try"}
    assert pipeline.head("live").generation == 2


def test_look_that_finds_all_in_its_place_makes_no_generation(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    pipeline.api("Pizza", production=WEB, sandbox=WEB)

    assert pipeline.apply().looked_again
    assert generations(pipeline) == (1, 1, 1)
    assert due(pipeline) == 0


def test_certificate_no_environment_takes_is_applied_with_a_warning(database: Database) -> None:
    pipeline = Pipeline(database)
    pipeline.environment("default", "production")
    pipeline.api("Pizza", sandbox=WEB)
    operation = pipeline.add("web")
    pipeline.run()

    applied = pipeline.operation(operation)
    assert "no_environment" in {one["code"] for one in applied.warnings}
    assert (pipeline.generations(operation), pipeline.status().generation) == ({}, 0)
    assert applied.converged_at is not None

    pipeline.environment("try", "sandbox")
    pipeline.run()
    assert pipeline.trusted("try") == {"web"}
    pipeline.assert_sound()


def test_deletion_and_its_generations_name_where_the_certificate_was(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    pipeline.add("web")
    pipeline.add("free")
    pipeline.run()

    delete = pipeline.delete("web", force=True)
    pipeline.run()

    assert pipeline.generations(delete) == {"default": 2, "live": 2}
    assert generations(pipeline) == (2, 2, 1)


def test_deletion_of_what_has_not_moved_yet_takes_it_from_where_it_is(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()

    pipeline.api("Pizza", production=WEB)
    delete = pipeline.delete("web", force=True)
    pipeline.run()

    assert where(pipeline, "web") == set()
    assert set(pipeline.generations(delete)) == {"default", "live", "try"}


def test_replace_reaches_every_environment_also_while_it_moves(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    new = self_signed("web.example")

    pipeline.api("Pizza", production=WEB)
    pipeline.replace("web", new)
    pipeline.run()

    assert pipeline.entries("live") == pipeline.entries("default") == {"web": new.fingerprint_sha256}
    assert pipeline.entries("try") == {}


def test_operation_names_environments_where_nothing_changed(pipeline: Pipeline) -> None:
    pipeline.add("other")
    pipeline.run()
    made = self_signed("web.example")
    pipeline.add("web", made=made)
    pipeline.run()

    same = pipeline.replace("web", made)
    pipeline.run()

    assert pipeline.generations(same) == {"default": 2, "live": 2, "try": 2}


def test_lost_wake_up_is_made_good(pipeline: Pipeline) -> None:
    pipeline.api("Pizza", production=WEB)
    postbox = Postbox()
    outbox.drain(pipeline.database, postbox)
    postbox.taken.clear()

    pipeline.sweep()
    outbox.drain(pipeline.database, postbox)
    assert postbox.taken == []

    pipeline.later(seconds=3)
    pipeline.sweep()
    outbox.drain(pipeline.database, postbox)
    assert postbox.taken == [OperationValidated("any")]


def test_change_of_routing_wakes_at_once(pipeline: Pipeline) -> None:
    """The api sends what its own commits owe, without waiting for the sweep."""
    outbox.drain(pipeline.database, Postbox())
    postbox = Postbox()
    drainer = Drainer(pipeline.database, postbox)
    drainer.start()

    pipeline.api("Pizza", production=WEB)
    drainer.wake()

    until = time.monotonic() + 10
    while not postbox.taken and time.monotonic() < until:
        time.sleep(0.005)
    drainer.stop()
    assert postbox.taken == [OperationValidated("any")]


def test_routing_is_decided_without_reading_all_that_is_trusted(pipeline: Pipeline) -> None:
    for number in range(5):
        pipeline.add(f"web-{number}")
    pipeline.add("wild", made=self_signed("*.b.example"))
    pipeline.run()
    register(pipeline.database, api("Pizza", ["https://web-3.example", "https://a.b.example"]))

    with pipeline.database.reading() as transaction:
        concerned = routing.concerned(transaction, routing.due(transaction))

    assert sorted(one.alias_key for one in concerned) == ["web-3", "wild"]


def test_look_that_fails_takes_no_request_down_with_it(pipeline: Pipeline) -> None:
    pipeline.add("old", WEB)
    pipeline.run()
    pipeline.api("Pizza", production=WEB)
    ids = [pipeline.add(f"web-{number}") for number in range(3)]
    pipeline.validate()
    broken = True

    def explode(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if broken and statement.startswith("DELETE FROM routing_due"):
            raise ZeroDivisionError

    event.listen(pipeline.database.engine, "before_cursor_execute", explode)
    for _ in range(5):
        pipeline.later(seconds=3)
        try:
            while pipeline.apply():
                pass
        except ZeroDivisionError:
            blame(pipeline.database, at=pipeline.at)

    assert fates(pipeline, ids) == ["applied"] * 3
    broken = False
    pipeline.run()
    assert where(pipeline, "old") == {"default", "live"}


def test_new_routes_are_in_the_audit_chain(pipeline: Pipeline) -> None:
    pipeline.add("web")
    pipeline.run()
    pipeline.api("Pizza", production=WEB)
    pipeline.run()

    with pipeline.database.reading() as transaction:
        facts = select(audit_event.c.facts).where(audit_event.c.action == "routing.applied")
        assert transaction.execute(facts).scalars().all() == ['{"generations":{"try":2}}']


def due(pipeline: Pipeline) -> int:
    with pipeline.database.reading() as transaction:
        return transaction.execute(select(func.count()).select_from(routing_due)).scalar_one()
