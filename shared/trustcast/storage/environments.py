"""Environments: groups of gateways that share one truststore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, insert, select, update

from trustcast.domain.environment import EnvironmentType
from trustcast.domain.errors import NotFound
from trustcast.domain.truststore import Truststore
from trustcast.storage.gateways import Phase
from trustcast.storage.tables import environment, gateway, truststore

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Environment:
    """`description` is for people and may be empty."""

    name: str
    type: EnvironmentType
    description: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An environment, its generation, and how many entries and gateways it has; `in_sync` of those have all of it."""

    environment: Environment
    generation: int
    entries: int
    gateways: int
    in_sync: int


def standing(transaction: Connection, name: str) -> Standing:
    """Return how one environment stands. Raises `NotFound("environment_not_found")`."""
    found = _standings(transaction, environment.c.name == name)
    if not found:
        raise NotFound("environment_not_found", "There is no environment with this name.")
    return found[0]


def standings(transaction: Connection) -> list[Standing]:
    """Return how every environment stands, by name."""
    return _standings(transaction)


def hold(transaction: Connection, name: str) -> Environment | None:
    """Return an environment that nobody else changes until this transaction ends; None if there is none."""
    of = environment.c
    mine = update(environment).where(of.name == name).values(type=of.type)
    row = transaction.execute(mine.returning(of.name, of.type, of.description)).one_or_none()
    return None if row is None else Environment(row.name, EnvironmentType(row.type), row.description)


def add(transaction: Connection, new: Environment) -> None:
    """Write a new environment down, with an empty truststore at generation 0."""
    values = {"name": new.name, "type": new.type, "description": new.description}
    transaction.execute(insert(environment).values(**values))
    empty = {"environment": new.name, "generation": 0, "entries": 0, "entries_sha256": Truststore().digest()}
    transaction.execute(insert(truststore).values(**empty))


def change(transaction: Connection, new: Environment) -> None:
    """Give the environment with this name the other type and description."""
    values = {"type": new.type, "description": new.description}
    transaction.execute(update(environment).where(environment.c.name == new.name).values(**values))


def _standings(transaction: Connection, *conditions: ColumnElement[bool]) -> list[Standing]:
    of, store = environment.c, truststore.c
    # As `GatewayBody.in_sync` has it.
    has_it = and_(gateway.c.phase != Phase.FAILED, gateway.c.generation == store.generation)
    enrolled = and_(gateway.c.environment == of.name, gateway.c.token_sha256.is_not(None))
    what = (of.name, of.type, of.description, store.generation, store.entries)
    rows = transaction.execute(
        select(*what, func.count(gateway.c.name).label("gateways"), func.count(case((has_it, 1))).label("in_sync"))
        .select_from(environment)
        .join(truststore, store.environment == of.name)
        .outerjoin(gateway, enrolled)
        .where(*conditions)
        .group_by(*what)
        .order_by(of.name)
    )
    return [_standing(row) for row in rows]


def _standing(row: Any) -> Standing:
    named = Environment(row.name, EnvironmentType(row.type), row.description)
    return Standing(named, row.generation, row.entries, row.gateways, row.in_sync)
