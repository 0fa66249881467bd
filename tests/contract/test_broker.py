"""Wake-ups and hints reach whoever listens, through a fake Redis as through a real one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from tests.pipeline import Pipeline
from tests.redis_server import RedisServer
from trustcast import broker
from trustcast.domain import messages
from trustcast.domain.errors import Unavailable
from trustcast.domain.messages import (
    CertificateExpiring,
    Message,
    OperationAccepted,
    OperationValidated,
    TruststoreChanged,
)
from trustcast.storage import outbox
from trustcast.storage.session import Database
from trustcast_cli import free_port
from trustcast_cli.embedded_redis import LOOPBACK


@pytest.fixture(params=["fake", "real"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty Redis that speaks over a socket."""
    if request.param == "real":
        server: RedisServer = request.getfixturevalue("redis_server")
        with server.client() as client:
            client.flushall()
        yield server.url
        return
    port = free_port.checked(LOOPBACK, 0)
    fake = fakeredis.TcpFakeServer((LOOPBACK, port), server_type="redis")
    fake.daemon_threads, fake.block_on_close = True, False
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"redis://{LOOPBACK}:{port}/0"
    fake.shutdown()
    fake.server_close()
    thread.join()


def event_of(message: Message) -> str:
    return messages.encode(message, id="1", source="test", at=datetime(2026, 11, 23, 12, tzinfo=UTC))


def tasks_in(url: str, queue: str) -> list[dict[str, Any]]:
    """What waits for a worker in this queue, as kombu lays it down: each task's name and arguments."""
    with redis.Redis.from_url(url) as client:
        envelopes = [json.loads(raw) for raw in client.lrange(queue, 0, -1)]
    return [{"task": one["headers"]["task"], "args": json.loads(base64.b64decode(one["body"]))[0]} for one in envelopes]


@contextmanager
def listening(url: str, channel: str) -> Iterator[list[str]]:
    """Yield a list that holds, when the block ends, what was heard on the channel."""
    heard: list[str] = []
    with redis.Redis.from_url(url) as client, client.pubsub() as ears:
        ears.subscribe(channel)
        while (first := ears.get_message(timeout=5)) is None or first["type"] != "subscribe":
            pass
        yield heard
        while (one := ears.get_message(timeout=0.3)) is not None:
            heard.append(one["data"].decode())


def test_sender_goes_on_when_another_of_the_process_is_closed(url: str) -> None:
    with closing(broker.connect(url, url)) as lasting:
        lasting.publish(OperationAccepted("1"), event_of(OperationAccepted("1")))
        with closing(broker.connect(url, url)) as passing:
            passing.publish(OperationAccepted("2"), event_of(OperationAccepted("2")))

        lasting.publish(OperationAccepted("3"), event_of(OperationAccepted("3")))

    assert len(tasks_in(url, "validation")) == 3


@pytest.mark.parametrize(
    ("message", "queue", "task"),
    [
        (OperationAccepted("1"), "validation", "trustcast.validate_uploads"),
        (OperationValidated("1"), "truststore", "trustcast.apply_changes"),
    ],
)
def test_wake_up_waits_in_the_queue_of_its_task(url: str, message: Message, queue: str, task: str) -> None:
    event = event_of(message)

    with closing(broker.connect(url, url)) as door:
        door.publish(message, event)

    assert tasks_in(url, queue) == [{"task": task, "args": [event]}]


def test_truststore_change_is_heard_in_its_environment_and_nowhere_else(url: str) -> None:
    event = event_of(TruststoreChanged("default", 7))

    with (
        closing(broker.connect(url, url)) as door,
        listening(url, broker.channel("default")) as heard,
        listening(url, broker.channel("other")) as elsewhere,
    ):
        door.publish(TruststoreChanged("default", 7), event)

    assert heard == [event]
    assert elsewhere == []


def test_hint_is_a_cloud_event_of_two_facts(url: str) -> None:
    with closing(broker.connect(url, url)) as door, listening(url, broker.channel("default")) as heard:
        door.publish(TruststoreChanged("default", 7), event_of(TruststoreChanged("default", 7)))

    told = json.loads(heard[0])
    assert (told["specversion"], told["type"]) == ("1.0", "trustcast.truststore.changed.v1")
    assert told["data"] == {"environment": "default", "generation": 7}


def test_certificate_that_comes_to_its_end_is_heard_where_certificates_are_told_of(url: str) -> None:
    event = event_of(CertificateExpiring(-1234, "web", 7))

    with closing(broker.connect(url, url)) as door, listening(url, "trustcast:certificates") as heard:
        door.publish(CertificateExpiring(-1234, "web", 7), event)

    assert heard == [event]


def test_nothing_that_is_sent_holds_certificate_bytes(url: str, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    pipeline = Pipeline(database)
    pipeline.add("web")

    with closing(broker.connect(url, url)) as door:
        outbox.drain(database, door)

    [task] = tasks_in(url, "validation")
    assert set(json.loads(task["args"][0])["data"]) == {"operation"}
    database.close()


def test_redis_that_answers_answers_the_ping(url: str) -> None:
    with closing(broker.connect(url, url)) as door:
        door.ping()


def test_redis_that_is_away_is_unavailable_at_once(tmp_path: Path) -> None:
    nowhere = f"redis://{LOOPBACK}:{free_port.checked(LOOPBACK, 0)}/0"

    with closing(broker.connect(nowhere, nowhere)) as door:
        for message in (OperationAccepted("1"), TruststoreChanged("default", 1)):
            with pytest.raises(Unavailable) as refusal:
                door.publish(message, event_of(message))
            assert refusal.value.code == "broker_unavailable"
        with pytest.raises(Unavailable):
            door.ping()


def test_redis_that_comes_back_is_used_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with closing(broker.connect(server.url, server.url)) as door:
        door.publish(OperationAccepted("1"), event_of(OperationAccepted("1")))
        server.stop()
        with pytest.raises(Unavailable):
            door.publish(OperationAccepted("2"), event_of(OperationAccepted("2")))

        server.start()
        door.publish(OperationAccepted("3"), event_of(OperationAccepted("3")))

        assert len(tasks_in(server.url, "validation")) == 1
    server.stop()


def test_emptied_redis_takes_the_next_wake_up_all_the_same(url: str) -> None:
    with closing(broker.connect(url, url)) as door:
        door.publish(OperationAccepted("1"), event_of(OperationAccepted("1")))
        with redis.Redis.from_url(url) as client:
            client.flushall()

        door.publish(OperationAccepted("2"), event_of(OperationAccepted("2")))

        assert len(tasks_in(url, "validation")) == 1


def test_password_of_the_broker_is_in_no_error(tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    nowhere = f"redis://:{secret}@{LOOPBACK}:{free_port.checked(LOOPBACK, 0)}/0"

    with closing(broker.connect(nowhere, nowhere)) as door, pytest.raises(Unavailable) as refusal:
        door.ping()

    assert secret not in refusal.value.detail


def test_celery_is_set_up_so_that_work_is_acknowledged_late_and_tasks_speak_json_only() -> None:
    conf = broker.celery_app("memory://").conf

    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.task_ignore_result) == (True, True, True)
    assert (list(conf.accept_content), conf.task_serializer, conf.worker_prefetch_multiplier) == (["json"], "json", 1)
    visibility = conf.broker_transport_options["visibility_timeout"]
    assert visibility == conf.visibility_timeout == conf.result_backend_transport_options["visibility_timeout"]
    assert visibility > 2 * conf.task_time_limit
