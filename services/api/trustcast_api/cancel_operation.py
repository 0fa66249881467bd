"""Call off a request that is scheduled for later, before it is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.domain.errors import Conflict
from trustcast.domain.operation import ENDED, Kind, State
from trustcast.storage import audit, closing, operations, truststores
from trustcast_api import scopes
from trustcast_api.accept_request import Asked
from trustcast_api.once import Answer, once, use_of
from trustcast_api.problems import ForbiddenError
from trustcast_api.request import Request
from trustcast_api.schemas_of_operations import OperationBody

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.storage.operations import Operation
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal

CANCELLED = Conflict("cancelled", "This request was called off before its time came; nothing was changed.")


def cancel_operation(
    database: Database,
    id: str,  # noqa: A002 - the field's name
    *,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
) -> Answer:
    """Return 200 with the operation, which is rejected as `cancelled`. Its certificate is let go.

    It is for whoever may ask for the same. Raises `NotFound("operation_not_found")`, `ForbiddenError`,
    `Conflict("operation_not_scheduled")`, `KeyReusedError`, `Unavailable`.
    """

    def work(transaction: Connection) -> Answer:
        truststores.hold_all(transaction)  # or it may be applied at the same time
        one = operations.get(transaction, who.tenant_id, id)
        _check_scheduled(one, at)
        _check_allowed(one, who)
        while not closing.end(transaction, one, State.REJECTED, operations.problem(CANCELLED)):
            # It was validated between the two looks, or refused.
            one = operations.get(transaction, who.tenant_id, id)
            _check_scheduled(one, at)
        audit.append(transaction, [audit.AuditEvent("operation.cancelled", who.actor, one.named())], at=at)
        closing.forget_bytes(transaction, [one])
        ended = operations.get(transaction, who.tenant_id, id)
        return Answer(200, OperationBody.of(ended, {}, []).model_dump(mode="json"))

    return once(database, use_of(who, idempotency_key, "cancel_operation", id), work, at=at)


def _check_scheduled(one: Operation, at: datetime) -> None:
    if one.state in ENDED or not one.is_scheduled(at):
        raise Conflict(
            "operation_not_scheduled",
            "Only a request whose activate_at is still to come can be called off. What has been applied, another "
            "request changes: DELETE /v1/certificates/{alias}, or PUT.",
        )


def _check_allowed(one: Operation, who: Principal) -> None:
    needed = scopes.ADD_CERTIFICATES if one.kind is Kind.ADD and one.rotation is None else scopes.UPDATE_CERTIFICATES
    if not who.holds(needed):
        raise ForbiddenError("forbidden", f"This needs a token with one of the scopes {', '.join(sorted(needed))}.")
    refusal = Asked(Request(kind=one.kind, alias=one.alias, rotation=one.rotation), who).refusal()
    if refusal is not None:
        raise refusal
