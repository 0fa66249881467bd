"""Operations that took effect: in which generation of each environment, and whether all gateways have it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import exists, insert, select, update

from trustcast.domain.operation import State
from trustcast.storage import uses
from trustcast.storage.tables import gateway, operation, operation_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, ScalarSelect


def applied(
    transaction: Connection,
    done: Mapping[str, Mapping[str, int]],
    *,
    warnings: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    at: datetime,
) -> None:
    """Mark operations as applied: id -> environment -> the generation in which that one has it.

    `warnings`: id -> all that its owner is warned of, for those of which there is more by now.
    """
    alike = defaultdict[str | None, list[str]](list)
    for id in done:  # noqa: A001
        more = (warnings or {}).get(id)
        alike[None if more is None else json.dumps([dict(one) for one in more], sort_keys=True)].append(id)
    for told, ids in alike.items():
        values = {"state": State.APPLIED, "applied_at": at} | ({} if told is None else {"warnings": json.loads(told)})
        for some in uses.chunks(ids):
            transaction.execute(update(operation).where(operation.c.id.in_(some)).values(values))
    rows = [
        {"operation": id, "environment": environment, "generation": number}
        for id, generation_of in done.items()  # noqa: A001
        for environment, number in generation_of.items()
    ]
    if rows:
        transaction.execute(insert(operation_generation), rows)


def generations(transaction: Connection, id: str) -> dict[str, int]:  # noqa: A002
    """Return environment -> generation in which the operation took effect."""
    of = operation_generation.c
    return {
        row.environment: row.generation
        for row in transaction.execute(select(of.environment, of.generation).where(of.operation == id))
    }


def generations_of(transaction: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return operation -> environment -> generation for each of `ids`."""
    of = operation_generation.c
    found: dict[str, dict[str, int]] = {id: {} for id in ids}  # noqa: A001
    for row in transaction.execute(select(of.operation, of.environment, of.generation).where(of.operation.in_(ids))):
        found[row.operation][row.environment] = row.generation
    return found


def reached(environment: str, *, above: int, upto: int) -> ScalarSelect[str]:
    """Select the operations of the environment's generations from `above`, exclusive, to `upto`, inclusive."""
    of = operation_generation.c
    within = (of.environment == environment, of.generation > above, of.generation <= upto)
    return select(of.operation).where(*within).scalar_subquery()


def converge(transaction: Connection, candidates: ScalarSelect[str] | Sequence[str], *, at: datetime) -> None:
    """Stamp those candidates that every gateway of each of their environments has."""
    of = operation_generation.c
    behind = exists().where(
        of.operation == operation.c.id,
        gateway.c.environment == of.environment,
        gateway.c.token_sha256.is_not(None),
        gateway.c.generation < of.generation,
    )
    transaction.execute(
        update(operation)
        .where(operation.c.id.in_(candidates), operation.c.converged_at.is_(None), ~behind)
        .values(converged_at=at)
    )
