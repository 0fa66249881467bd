"""Write requests down: the operations, their bytes and the wake-up that is owed, in one commit."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trustcast.domain.errors import TrustcastError, Unavailable
from trustcast.domain.messages import OperationAccepted
from trustcast.domain.operation import Kind
from trustcast.storage import audit, blobs, chains, idempotency, operations, outbox
from trustcast.storage.operations import Operation
from trustcast_api import once, scopes
from trustcast_api.complete_request import callers, complete
from trustcast_api.problems import ForbiddenError
from trustcast_api.request import Request
from trustcast_api.scheduled import Scheduled
from trustcast_api.settings import MOST_SCHEDULED, Unregistered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, who asks, and the Idempotency-Key that it came with."""

    request: Request
    who: Principal
    idempotency_key: str | None = None

    def use(self) -> idempotency.Use | None:
        """Return the key's use; None without one, and where nothing is to be kept."""
        if self.idempotency_key is None or self.refusal() is not None:
            return None
        return once.use_of(self.who, self.idempotency_key, self.request.sha256())

    def refusal(self) -> ForbiddenError | None:
        """Return why this is not for whoever asks."""
        if not self.who.may_name(self.request.owner):
            prefixes = ", ".join(self.who.alias_prefixes or ()) or "none"
            detail = f"This token may change certificates whose alias starts with: {prefixes}."
            return ForbiddenError("alias_not_allowed", detail)
        if self.request.accept_expired and not self.who.holds(scopes.ADMINISTER):
            detail = "Only an administrator has expired certificates trusted."
            return ForbiddenError("accept_expired_not_allowed", detail)
        return None


Result = Operation | TrustcastError
"""What a request became, or was when it was sent before with the same key, or why it is refused."""


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
    asked = [Asked(request, who, idempotency_key)]
    (result,) = accept_requests(database, asked, at=at, unregistered=unregistered)
    if isinstance(result, TrustcastError):
        raise result
    return result


def accept_requests(
    database: Database,
    asked: Sequence[Asked],
    *,
    at: datetime,
    unregistered: Unregistered = Unregistered.ALLOW,
    most_scheduled: int = MOST_SCHEDULED,
) -> list[Result]:
    """Write requests down as if they came one after another, all in one commit; return what became of each.

    `most_scheduled` may wait for their time for one tenant. Raises `Unavailable`: none of them was accepted.
    """
    with database.writing() as transaction:
        results = write_down(transaction, asked, at=at, unregistered=unregistered, most_scheduled=most_scheduled)
        transaction.commit()
    return results


def write_down(
    transaction: Connection,
    asked: Sequence[Asked],
    *,
    at: datetime,
    unregistered: Unregistered = Unregistered.ALLOW,
    most_scheduled: int = MOST_SCHEDULED,
) -> list[Result]:
    """Write requests down as if they came one after another, without a commit; return what became of each.

    One that is refused leaves nothing behind and stops nobody. Raises `Unavailable`.
    """
    scheduled = Scheduled(transaction, most_scheduled, at=at)
    group = _Group(transaction, asked, at=at, unregistered=unregistered, scheduled=scheduled)
    results = [group.result(one) for one in asked]
    group.finish()
    return results


class _Group:
    """Requests that share a transaction. What they write is gathered until somebody has to see it."""

    def __init__(
        self,
        transaction: Connection,
        asked: Sequence[Asked],
        *,
        at: datetime,
        unregistered: Unregistered,
        scheduled: Scheduled,
    ) -> None:
        self._transaction, self._at, self._unregistered, self._scheduled = transaction, at, unregistered, scheduled
        self._uses = {one: use for one in asked if (use := one.use()) is not None}
        # All at once, in the order that the storage knows; what is not used up is given back.
        self._kept = idempotency.take_all(transaction, self._uses.values(), at=at)
        self._taken = {use.name for use in self._uses.values()} - self._kept.keys()
        self._callers = callers(transaction, ((one.who.tenant_id, one.request) for one in asked))
        self._answers: dict[idempotency.Use, dict[str, Any]] = {}
        self._accepted: dict[str, Operation] = {}
        self._unwritten: list[tuple[Asked, Operation]] = []

    def result(self, asked: Asked) -> Result:
        try:
            return asked.refusal() or self._earlier(asked) or self._new(asked)
        except Unavailable:
            raise
        except TrustcastError as refused:
            return refused

    def finish(self) -> None:
        self._write()
        if self._accepted:
            # One wake-up serves all that waits.
            wake_up = OperationAccepted(next(reversed(self._accepted)))
            outbox.add(self._transaction, wake_up, source="api", at=self._at)
        idempotency.answer_all(self._transaction, self._answers)
        idempotency.release(self._transaction, self._taken - {use.name for use in self._answers})

    def _earlier(self, asked: Asked) -> Operation | None:
        """Return what this request became when it was sent before, here or in another transaction."""
        use = self._uses.get(asked)
        if use is None or use.name not in self._kept:
            return None
        id_ = self._kept[use.name].again(use)["operation"]
        return self._accepted.get(id_) or operations.get(self._transaction, asked.who.tenant_id, id_)

    def _new(self, asked: Asked) -> Operation:
        if asked.request.kind is not Kind.ADD or asked.request.rotation is not None:
            self._write()  # these are held against what is on its way
        request = complete(
            self._transaction,
            asked.request,
            tenant_id=asked.who.tenant_id,
            unregistered=self._unregistered,
            callers=self._callers,
            at=self._at,
        )
        self._scheduled.add(asked.who.tenant_id, request)
        operation = _operation(request, asked.who, self._at)
        self._accepted[operation.id] = operation
        self._unwritten.append((replace(asked, request=request), operation))
        if (use := self._uses.get(asked)) is not None:
            self._answers[use] = {"operation": operation.id}
            self._kept[use.name] = idempotency.Kept(use.request_sha256, self._answers[use])
        return operation

    def _write(self) -> None:
        new, self._unwritten = self._unwritten, []
        audit.append(self._transaction, [_audited(operation, asked.who) for asked, operation in new], at=self._at)
        ders = (asked.request.certificate for asked, _ in new)
        blobs.keep_all(self._transaction, [der for der in ders if der is not None])
        operations.add_all(self._transaction, [operation for _, operation in new])
        chains.keep(self._transaction, {operation.id: asked.request.chain for asked, operation in new})


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
    if operation.activate_at is not None:
        asked["activate_at"] = operation.activate_at.isoformat()
    facts |= {name: value for name, value in asked.items() if value}
    return audit.AuditEvent("operation.accepted", who.actor, facts)
