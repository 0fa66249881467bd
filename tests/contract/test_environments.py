"""Environments come and change over HTTP, and certificates go where they then belong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from tests.pipeline import ADMIN, Pipeline
from tests.published import api, environment, register
from trustcast.domain.errors import NotFound
from trustcast.domain.truststore import Truststore
from trustcast.storage import environments, gateways, routing, truststores
from trustcast.storage.environments import Environment
from trustcast.storage.session import Database
from trustcast.storage.tables import audit_event, outbox
from trustcast_api.enrol_gateways import enrol, enrol_what_waits
from trustcast_api.schemas import TruststoreBody
from trustcast_api.schemas_of_environments import EnvironmentBody

SPACED = "Production and Sandbox"


def named(database: Database, name: str) -> Environment:
    with database.reading() as transaction:
        return environments.standing(transaction, name).environment


def looks(database: Database) -> int:
    with database.reading() as transaction:
        return len(routing.due(transaction))


def events(database: Database) -> list[str]:
    with database.reading() as transaction:
        return list(transaction.execute(select(audit_event.c.action).order_by(audit_event.c.sequence)).scalars())


def test_new_environment_begins_empty_as_the_first_one_did(database: Database) -> None:
    answer = environment(database, "live", "production", "Frankfurt")

    assert answer.status == 201
    assert answer.body == {
        "name": "live",
        "type": "production",
        "description": "Frankfurt",
        "generation": 0,
        "entries": 0,
        "gateways": 0,
        "converged": True,
    }
    with database.reading() as transaction:
        first, new = (truststores.status(transaction, name) for name in ("default", "live"))
        assert (new.generation, new.entries, new.entries_sha256) == (0, 0, Truststore().digest())
        assert new.entries_sha256 == first.entries_sha256


def test_new_environment_gets_what_belongs_in_it(database: Database) -> None:
    pipeline = Pipeline(database)
    register(database, api("Pizza", None, "https://test.example"))
    for alias in ("test", "other"):
        pipeline.add(alias)
    pipeline.run()
    generation = pipeline.status().generation

    environment(database, "live", "production")
    pipeline.later(seconds=1)
    pipeline.apply()

    assert pipeline.trusted("live") == {"other"}
    assert pipeline.head("live").entries == 1
    assert pipeline.status().generation == generation  # nothing changed there


def test_environment_of_another_type_holds_what_then_belongs_in_it(database: Database) -> None:
    pipeline = Pipeline(database)
    register(database, api("Pizza", "https://live.example", "https://test.example"))
    for alias in ("live", "test"):
        pipeline.add(alias)
    pipeline.run()

    answer = environment(database, "default", "sandbox")
    pipeline.later(seconds=1)
    pipeline.apply()

    assert answer.status == 200
    assert pipeline.trusted() == {"test"}


def test_name_may_hold_spaces(database: Database) -> None:
    environment(database, SPACED, "hybrid")
    pipeline = Pipeline(database)
    pipeline.add("a")
    pipeline.run()

    assert pipeline.trusted(SPACED) == {"a"}
    assert pipeline.head(SPACED).environment == SPACED


def test_same_content_again_changes_nothing(database: Database) -> None:
    environment(database, "live", "production", "Frankfurt")
    before = (looks(database), events(database))

    answers = [environment(database, "live", "production", description) for description in ("Frankfurt", None)]

    assert [one.status for one in answers] == [200, 200]
    assert (looks(database), events(database)) == before == (1, ["environment.created"])


def test_other_description_moves_no_certificate(database: Database) -> None:
    environment(database, "live", "production", "Frankfurt")
    with database.reading() as transaction:
        owed = transaction.execute(select(func.count()).select_from(outbox)).scalar_one()

    environment(database, "live", "production", "Dublin")

    assert named(database, "live").description == "Dublin"
    assert looks(database) == 1
    with database.reading() as transaction:
        assert transaction.execute(select(func.count()).select_from(outbox)).scalar_one() == owed
    assert events(database) == ["environment.created", "environment.changed"]


def test_description_that_is_not_given_stays(database: Database) -> None:
    environment(database, "live", "production", "Frankfurt")

    environment(database, "live", "sandbox")

    assert named(database, "live") == Environment("live", named(database, "live").type, "Frankfurt")
    assert named(database, "live").type == "sandbox"


def test_of_many_that_make_it_at_once_one_does(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: environment(database, "live", "production").status, range(16)))

    assert sorted(statuses) == [200] * 15 + [201]
    assert events(database) == ["environment.created"]


def test_same_key_gets_the_same_answer(database: Database) -> None:
    assert [environment(database, "live", "production", key="once").status for _ in range(2)] == [201, 201]


def test_unknown_environment_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound) as missing:
        named(database, "nowhere")

    assert missing.value.code == "environment_not_found"


def test_list_and_truststore_agree_on_who_has_it(database: Database) -> None:
    pipeline = Pipeline(database)
    environment(database, "empty", "production")
    pipeline.enrol("g1", "g2", "g3")
    pipeline.add("a")
    pipeline.run()

    def converged() -> tuple[int, int]:
        with database.reading() as transaction:
            one = environments.standing(transaction, "default")
            told = gateways.in_environment(transaction, "default")
            content = truststores.content(transaction, "default").entries
            status = truststores.status(transaction, "default")
            body = TruststoreBody.of(status, content, told, {}, at=pipeline.at)
        assert one.in_sync == sum(each.in_sync for each in body.gateways)
        assert EnvironmentBody.of(one, for_=ADMIN).converged is body.converged
        return one.in_sync, one.gateways

    assert converged() == (0, 3)
    pipeline.report("g1", 1)
    pipeline.report("g2", 1, phase=gateways.Phase.FAILED, code="disk_full")
    assert converged() == (1, 3)
    for gateway in ("g2", "g3"):
        pipeline.report(gateway, 1)
    assert converged() == (3, 3)
    pipeline.report("g1", 1, phase=gateways.Phase.FAILED, code="disk_full")
    assert converged() == (2, 3)
    pipeline.enrol("g1", "g2")  # g3 retires
    assert converged() == (1, 2)
    pipeline.add("b")
    pipeline.run()
    assert converged() == (0, 2)
    with database.reading() as transaction:
        assert [one.environment.name for one in environments.standings(transaction)] == ["default", "empty"]


def gateways_file(folder: Path, **environment_of: str) -> Path:
    lines = [
        {"name": name, "environment": where, "token_sha256": (name.encode().hex() * 64)[:64]}
        for name, where in environment_of.items()
    ]
    path = folder / "gateways.json"
    path.write_text(json.dumps({"gateways": lines}))
    return path


def enrolled(database: Database) -> dict[str, str]:
    with database.reading() as transaction:
        return {one.name: one.environment for one in gateways.enrolled(transaction)}


def test_gateway_waits_for_its_environment(database: Database, tmp_path: Path) -> None:
    path = gateways_file(tmp_path, g1="default", g2=SPACED)

    with capture_logs() as said:
        enrol(database, path)
    assert enrolled(database) == {"g1": "default"}
    assert [(one["event"], one["environment"]) for one in said] == [("environment_unknown", SPACED)]

    environment(database, SPACED, "hybrid")
    enrol_what_waits(database, path)
    assert enrolled(database) == {"g1": "default", "g2": SPACED}


def test_file_that_is_being_written_retires_nobody(database: Database, tmp_path: Path) -> None:
    path = gateways_file(tmp_path, g1="default")
    enrol(database, path)
    path.write_text('{"gateways": [')

    with capture_logs() as said:
        enrol_what_waits(database, path)

    assert enrolled(database) == {"g1": "default"}
    assert [one["event"] for one in said] == ["gateways_file_unusable"]
