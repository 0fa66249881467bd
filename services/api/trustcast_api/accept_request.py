"""Write a request down: the operation, its bytes and the wake-up that is owed, in one commit."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from trustcast.domain.messages import OperationAccepted
from trustcast.storage import audit, blobs, idempotency, operations, outbox
from trustcast.storage.operations import Kind, Operation
from trustcast_api import once, scopes
from trustcast_api.complete_request import complete
from trustcast_api.problems import ForbiddenError
from trustcast_api.settings import Unregistered

if TYPE_CHECKING:
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


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


def accept_request(
    database: Database,
    request: Request,
    *,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
    unregistered: Unregistered = Unregistered.ALLOW,
) -> Operation:
    """Return the operation that the request became, or became when it was sent before with the same key.

    `unregistered` says what becomes of endpoints that no API calls. Raises `ForbiddenError`, `KeyReusedError`,
    `Unavailable`, and what `complete` raises.
    """
    _check_allowed(request, who)
    use = once.use_of(who, idempotency_key, request.sha256())
    with database.writing() as transaction:
        if use is not None and (earlier := idempotency.take(transaction, use, at=at)) is not None:
            return operations.get(transaction, who.tenant_id, earlier["operation"])
        request = complete(transaction, request, tenant_id=who.tenant_id, unregistered=unregistered)
        operation = _operation(request, who, at)
        audit.append(transaction, [_audited(operation, who)], at=at)
        if request.certificate is not None:
            blobs.keep(transaction, request.certificate)
        operations.add(transaction, operation)
        outbox.add(transaction, OperationAccepted(operation.id), source="api", at=at)
        if use is not None:
            idempotency.answer(transaction, use, {"operation": operation.id})
        transaction.commit()
    return operation


def _check_allowed(request: Request, who: Principal) -> None:
    if not who.may_name(request.owner):
        prefixes = ", ".join(who.alias_prefixes or ()) or "none"
        raise ForbiddenError(
            "alias_not_allowed", f"This token may change certificates whose alias starts with: {prefixes}."
        )
    if request.accept_expired and not who.holds(scopes.ADMINISTER):
        raise ForbiddenError("accept_expired_not_allowed", "Only an administrator has expired certificates trusted.")


def _operation(request: Request, who: Principal, at: datetime) -> Operation:
    sha256 = hashlib.sha256(request.certificate).hexdigest() if request.certificate is not None else None
    return Operation(
        id=str(uuid.uuid4()),
        kind=request.kind,
        alias=request.alias,
        endpoint=request.endpoint,
        ca=request.ca,
        accept_expired=request.accept_expired,
        force=request.force,
        if_match=request.if_match,
        rotation=request.rotation,
        activate_at=request.activate_at,
        certificate=sha256,
        fingerprint_sha256=sha256,
        requested_by=who.name,
        tenant_id=who.tenant_id,
        accepted_at=at,
    )


def _audited(operation: Operation, who: Principal) -> audit.AuditEvent:
    facts = {
        "operation": operation.id,
        "kind": operation.kind,
        "alias": operation.alias,
        "endpoint": operation.endpoint,
        "sha256": operation.fingerprint_sha256,
    }
    asked = {name: getattr(operation, name) for name in ("ca", "accept_expired", "force", "if_match", "rotation")}
    facts |= {name: value for name, value in asked.items() if value}
    return audit.AuditEvent("operation.accepted", who.actor, facts)
