"""Create or edit an environment; every certificate may then belong in others than before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.storage import audit, environments, routing
from trustcast.storage.environments import Environment
from trustcast_api.once import Answer, once, use_of
from trustcast_api.schemas_of_environments import EnvironmentBody

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.environment import EnvironmentType
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


def change_environment(
    database: Database,
    name: str,
    *,
    type: EnvironmentType,  # noqa: A002 - the word of the contract
    description: str | None,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
) -> Answer:
    """Return 201 for a new environment and 200 for one that is edited, with how it stands.

    What was so before changes nothing; a `description` of None is the one that there is.
    Raises `KeyReusedError`, `Unavailable`.
    """
    asked = use_of(who, idempotency_key, "change_environment", name, type, description)

    def work(transaction: Connection) -> Answer:
        old = environments.hold(transaction, name)
        kept = old.description if old else ""
        new = Environment(name, type, kept if description is None else description)
        if old is None:
            environments.add(transaction, new)
        elif old != new:
            environments.change(transaction, new)
        if old is None or old.type is not new.type:
            routing.look_again(transaction, source="api", at=at)
        if old != new:
            audit.append(transaction, [_audited(old, new, who)], at=at)
        body = EnvironmentBody.of(environments.standing(transaction, name), for_=who).model_dump(mode="json")
        return Answer(201 if old is None else 200, body)

    return once(database, asked, work, at=at)


def _audited(old: Environment | None, new: Environment, who: Principal) -> audit.AuditEvent:
    facts = {
        "environment": new.name,
        "before": old and {"type": old.type, "description": old.description},
        "after": {"type": new.type, "description": new.description},
    }
    return audit.AuditEvent("environment.changed" if old else "environment.created", who.actor, facts)
