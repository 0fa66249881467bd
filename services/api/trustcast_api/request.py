"""What a client asks for, as the door read it: nothing that came in goes further in any other form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from trustcast.domain.errors import Rejected, RejectedMany
from trustcast.domain.operation import Kind


def _told(error: Rejected) -> dict[str, Any]:
    several = [_told(one) for one in error.errors] if isinstance(error, RejectedMany) else None
    return {"code": error.code, "detail": error.detail, "field": error.field, "errors": several}


def _meant(told: dict[str, Any]) -> Rejected:
    if told["errors"] is not None:
        return RejectedMany(tuple(_meant(one) for one in told["errors"]))
    return Rejected(told["code"], told["detail"], field=told["field"])


Refusal = Annotated[Rejected, PlainValidator(_meant), PlainSerializer(_told)]
"""A refusal that can also be written as JSON."""
REFUSAL: Final = TypeAdapter[Rejected](Refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that passed the door: `certificate` in DER, `endpoint` in normal form, neither for a delete.

    A replace and all that has a `rotation` get their endpoint, and the end of a rotation its certificate, when they
    are written down. `chain` is what came with the certificate, in DER: kept, trusted nowhere. `if_match`, `rotation`,
    `activate_at` and `force` are an operation's (see `Operation`); a delete with `rotation` calls off the rotation of
    that alias key.
    """

    kind: Kind
    alias: str
    endpoint: str | None = None
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    ca: bool = False
    accept_expired: bool = False
    force: bool = False
    if_match: str | None = None
    rotation: str | None = None
    activate_at: datetime | None = None

    @property
    def owner(self) -> str:
        """The alias by which it is decided who may ask for this: in a rotation the old certificate's."""
        return self.alias if self.rotation is None or self.kind is Kind.REPLACE else self.rotation

    def sha256(self) -> str:
        """Hash all that is asked for, so that an Idempotency-Key can tell the same request from another."""
        asked = asdict(self) | {
            "certificate": hashlib.sha256(self.certificate or b"").hexdigest(),
            "chain": [hashlib.sha256(one).hexdigest() for one in self.chain],
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """A line as the door read it: a request, or why there is none. `alias` is there where it is a legal one."""

    number: int
    alias: str | None
    request: Request | None = None
    problem: Refusal | None = None
