"""Write a request down: the operation, its bytes and the wake-up that is owed, in one commit."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from trustcast.domain.messages import OperationAccepted
from trustcast.storage import audit, blobs, certificates, idempotency, operations, outbox
from trustcast.storage.operations import Kind, Operation
from trustcast_api import once

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that passed the door: `endpoint` in normal form, `certificate` in DER, neither for a delete."""

    kind: Kind
    alias: str
    endpoint: str | None = None
    certificate: bytes | None = None
    ca: bool = False

    def sha256(self) -> str:
        """Hash what is asked for, so that an Idempotency-Key can tell the same request from another."""
        content = hashlib.sha256(self.certificate or b"").hexdigest()
        asked = [self.kind, self.alias, self.endpoint, content, self.ca]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def accept_request(
    database: Database, request: Request, *, who: Principal, idempotency_key: str | None, at: datetime
) -> Operation:
    """Return the operation that the request became, or became when it was sent before with the same key.

    Raises `NotFound` for a delete of an alias that is neither trusted nor on its way, `KeyReusedError`, `Unavailable`.
    """
    try:
        return _accept(database, request, who, idempotency_key, at)
    except IntegrityError:
        # A twin with the same key committed between our look and our insert: now it is there to be found.
        return _accept(database, request, who, idempotency_key, at)


def _accept(database: Database, request: Request, who: Principal, key: str | None, at: datetime) -> Operation:
    use = once.use_of(who, key, request.sha256())
    with database.writing() as transaction:
        if use is not None and (earlier := idempotency.earlier(transaction, use)) is not None:
            return operations.get(transaction, who.tenant_id, earlier["operation"])
        if request.kind is Kind.DELETE:
            _check_there_is_one(transaction, who.tenant_id, request.alias.lower())
        operation = _operation(request, who, at)
        audit.append(transaction, [_audited(operation, who)], at=at)
        if request.certificate is not None:
            blobs.keep(transaction, request.certificate)
        operations.add(transaction, operation)
        outbox.add(transaction, OperationAccepted(operation.id), source="api", at=at)
        if use is not None:
            idempotency.keep(transaction, use, answer={"operation": operation.id}, at=at)
        transaction.commit()
    return operation


def _check_there_is_one(transaction: Connection, tenant_id: int, alias_key: str) -> None:
    if not operations.pending_alias(transaction, tenant_id, alias_key):
        certificates.get(transaction, tenant_id, alias_key)


def _operation(request: Request, who: Principal, at: datetime) -> Operation:
    sha256 = hashlib.sha256(request.certificate).hexdigest() if request.certificate is not None else None
    return Operation(
        id=str(uuid.uuid4()),
        kind=request.kind,
        alias=request.alias,
        endpoint=request.endpoint,
        ca=request.ca,
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
    return audit.AuditEvent("operation.accepted", who.actor, facts)
