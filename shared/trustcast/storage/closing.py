"""The end of operations that take no effect: rejected or failed, with the reason, and their bytes let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, update

from trustcast.domain.operation import PENDING, State
from trustcast.storage import blobs, chains, operations
from trustcast.storage.tables import operation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Select

    from trustcast.domain.errors import TrustcastError
    from trustcast.storage.operations import Operation


def end(transaction: Connection, one: Operation, state: State, problem: Mapping[str, Any]) -> bool:
    """Close an operation as `rejected` or `failed`, with the reason; its certificate bytes are let go.

    Returns whether it counted: it does not if the operation moved on since it was read. Then `forget_bytes`.
    """
    result = transaction.execute(
        update(operation).where(operation.c.id == one.id, operation.c.state == one.state).values(_ended(state, problem))
    )
    return bool(result.rowcount)


def call_off(transaction: Connection, ids: Select[tuple[str]], told: Mapping[str, Any]) -> set[str]:
    """Reject those of the selected operations that have not ended, and return which. Then `forget_bytes`.

    Whoever holds the truststores knows that none is applied meanwhile.
    """
    mine = operation.c.id.in_(ids), operation.c.state.in_(PENDING)
    ended = update(operation).where(*mine).values(_ended(State.REJECTED, told)).returning(operation.c.id)
    return set(transaction.execute(ended).scalars())


def reject(transaction: Connection, refused: Sequence[tuple[Operation, TrustcastError]]) -> None:
    """Close validated operations, each with its reason. Whoever holds the truststores knows that none moves on."""
    if refused:
        transaction.execute(
            update(operation)
            .where(operation.c.id == bindparam("ended"), operation.c.state == State.VALIDATED)
            .values(_ended(State.REJECTED, bindparam("told"))),
            [{"ended": one.id, "told": operations.problem(error)} for one, error in refused],
        )


def _ended(state: State, problem: Any) -> dict[str, Any]:
    return {"state": state, "problem": problem, "certificate": None, "lease_until": None, "leased_by": None}


def forget_bytes(transaction: Connection, ended: Collection[Operation]) -> None:
    """Let go the bytes of operations that took no effect, unless something else refers to them.

    As with all bytes (see `blobs`), the caller has appended to the audit chain.
    """
    if ended:
        chains.forget(transaction, [one.id for one in ended])
        blobs.forget_unused(transaction, [one.certificate for one in ended if one.certificate])
