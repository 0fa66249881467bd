"""Messages: what was once sent is understood for ever."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from trustcast.domain.errors import Rejected
from trustcast.domain.messages import (
    MAX_MESSAGE_BYTES,
    CertificateExpiring,
    Message,
    OperationAccepted,
    OperationValidated,
    TruststoreChanged,
    decode,
    encode,
)

GOLDEN = Path(__file__).with_name("golden")
AT = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
OPERATION = "0b51e6b2-6d3f-4c0a-9a53-0d0a3a0b8c11"
ALL: list[Message] = [
    OperationAccepted(OPERATION),
    OperationValidated(OPERATION),
    TruststoreChanged("default", 7),
    CertificateExpiring(-1234, "Web", 7),
]


def golden(message: Message) -> dict[str, Any]:
    """The event as the first release of its version sent it. These files are never changed, only added."""
    read: dict[str, Any] = json.loads((GOLDEN / f"{message.type}.json").read_text())
    return read


def sent(message: Message) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(encode(message, id="5f0c9c0e-6f3a-4c38-8d3d-3f5a1f7c2f10", source="api", at=AT))
    return read


def test_every_message_has_a_golden_file() -> None:
    assert {type(message) for message in ALL} == set(get_args(Message))
    assert {f"{message.type}.json" for message in ALL} == {path.name for path in GOLDEN.glob("trustcast.*.json")}


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_message_of_the_first_release_is_understood(message: Message) -> None:
    assert decode((GOLDEN / f"{message.type}.json").read_bytes()) == message


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_message_may_only_grow(message: Message) -> None:
    before, now = golden(message), sent(message)

    assert now.items() >= {name: value for name, value in before.items() if name != "data"}.items()
    assert now["data"].items() >= before["data"].items()


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_message_of_a_newer_sender_is_understood(message: Message) -> None:
    newer = golden(message)
    newer["data"]["colour"] = "blue"

    assert decode(json.dumps(newer | {"traceparent": "00"})) == message


@pytest.mark.parametrize("message", ALL, ids=lambda message: message.type)
def test_type_ends_in_its_version(message: Message) -> None:
    assert message.type.rpartition(".")[2] == "v1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "\ud800",
        "[" * 4000,
        '{"type":"trustcast.unknown.v1","data":{}}',
        '{"type":"trustcast.truststore.changed.v2","data":{"environment":"default","generation":7}}',
        '{"type":["x"],"data":{}}',
        '{"type":"trustcast.operation.accepted.v1"}',
        '{"type":"trustcast.operation.accepted.v1","data":null}',
        '{"type":"trustcast.operation.accepted.v1","data":{"operation":1}}',
        '{"type":"trustcast.truststore.changed.v1","data":{"environment":"default","generation":"7"}}',
        '{"type":"trustcast.truststore.changed.v1","data":{"environment":"default","generation":true}}',
        '{"type":"trustcast.truststore.changed.v1","data":{"environment":"default"}}',
        '{"type":"trustcast.certificate.expiring.v1","data":{"tenant_id":"-1234","alias":"web","days":7}}',
        '{"type":"trustcast.certificate.expiring.v1","data":{"tenant_id":-1234,"alias":"web","days":7.0}}',
        " " * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_what_is_no_message_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        decode(text)

    assert refused.value.code == "message_malformed"


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Rejected):
        decode(b"\xff\xfe\x00")


def test_message_of_four_kilobytes_is_read_and_a_longer_one_is_not() -> None:
    text = encode(ALL[0], id="1", source="api", at=AT)

    assert decode(text.ljust(4096)) == ALL[0]
    with pytest.raises(Rejected):
        decode(text.ljust(4097))
