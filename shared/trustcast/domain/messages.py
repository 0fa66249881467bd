"""The only message vocabulary: frozen, past tense, versioned, CloudEvents 1.0 in JSON.

A message is a hint that something may be waiting; whoever gets it reads the database or asks the api again. It carries
ids and numbers, never certificate bytes. A type ends in its version and may only gain fields: a golden file
per version in the tests holds us to it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, ClassVar, get_args

from trustcast.domain.errors import Rejected

if TYPE_CHECKING:
    from datetime import datetime

MAX_MESSAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class OperationAccepted:
    """A request was written down and waits for validation."""

    type: ClassVar[str] = "trustcast.operation.accepted.v1"
    operation: str


@dataclass(frozen=True, slots=True)
class OperationValidated:
    """A request passed the policy and waits for a truststore."""

    type: ClassVar[str] = "trustcast.operation.validated.v1"
    operation: str


@dataclass(frozen=True, slots=True)
class TruststoreChanged:
    """An environment has a new generation; its gateways should look."""

    type: ClassVar[str] = "trustcast.truststore.changed.v1"
    environment: str
    generation: int


@dataclass(frozen=True, slots=True)
class CertificateExpiring:
    """A trusted certificate has `days` days left or fewer; with 0 it has expired. Its tenant should look."""

    type: ClassVar[str] = "trustcast.certificate.expiring.v1"
    tenant_id: int
    alias: str
    days: int


Message = OperationAccepted | OperationValidated | TruststoreChanged | CertificateExpiring
BY_TYPE: dict[str, type[Message]] = {kind.type: kind for kind in get_args(Message)}
"""What this version understands."""
_TYPE_OF: dict[str, type[int | str]] = {
    "operation": str,
    "environment": str,
    "generation": int,
    "tenant_id": int,
    "alias": str,
    "days": int,
}


def encode(message: Message, *, id: str, source: str, at: datetime) -> str:  # noqa: A002 - CloudEvents' name for it
    """Return the CloudEvent as JSON; `source` names the sending service, `at` is aware."""
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": message.type,
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": asdict(message),
    }
    return json.dumps(event, separators=(",", ":"))


def decode(text: str | bytes) -> Message:
    """Return the message inside a CloudEvent; unknown fields are ignored, so that a newer sender is understood.

    Raises `Rejected("message_malformed")` for anything else.
    """
    malformed = Rejected("message_malformed", "The message is not one of Trustcast's events.")
    if len(text) > MAX_MESSAGE_BYTES:
        raise malformed
    try:
        event = json.loads(text)
        kind = BY_TYPE[event["type"]]
        values = {field.name: event["data"][field.name] for field in fields(kind)}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise malformed from None
    if any(type(value) is not _TYPE_OF[name] for name, value in values.items()):
        raise malformed
    return kind(**values)
