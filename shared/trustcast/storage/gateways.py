"""Gateways and what they report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trustcast.storage.tables import environment, gateway, gateway_report, operation_generation

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


class Phase(StrEnum):
    """How far a gateway got: files in place, loaded by the gateway, or neither."""

    INSTALLED = "installed"
    LOADED = "loaded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A gateway that may speak: `token_sha256` is the SHA-256 of its token's text, in hexadecimal."""

    name: str
    environment: str
    token_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a listener read back from disk; `code` and `detail` say why it failed."""

    generation: int
    entries_sha256: str | None
    phase: Phase
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """Where a gateway stands, by its own account; nothing told yet: phase None."""

    name: str
    environment: str
    generation: int
    entries_sha256: str | None
    phase: str | None
    code: str | None
    detail: str | None
    reported_at: datetime | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A gateway has an operation's generation: since when, and which generation that report named.

    With phase `failed` it has not, and `code` and `detail` say what keeps it back.
    """

    name: str
    environment: str
    generation: int
    phase: str
    at: datetime
    code: str | None = None
    detail: str | None = None


_TOLD = ("entries_sha256", "phase", "code", "detail", "reported_at")


def enrol(transaction: Connection, gateways: Sequence[Enrolled], *, at: datetime) -> None:
    """Make `gateways` all that are enrolled: new ones come, known ones get their token anew, the others retire.

    A retired gateway's token is no longer good, and nobody waits for its reports. One that moved to another environment
    has told nothing there yet.
    """
    transaction.execute(update(gateway).values(token_sha256=None))
    make = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
    for one in gateways:
        values = {"environment": one.environment, "token_sha256": one.token_sha256}
        moved = gateway.c.name == one.name, gateway.c.environment != one.environment
        transaction.execute(update(gateway).where(*moved).values(generation=0, **dict.fromkeys(_TOLD)))
        transaction.execute(
            make(gateway)
            .values(name=one.name, enrolled_at=at, generation=0, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )


def enrolled(transaction: Connection) -> list[Enrolled]:
    """Return the gateways that may speak."""
    of = gateway.c
    rows = transaction.execute(select(of.name, of.environment, of.token_sha256).where(of.token_sha256.is_not(None)))
    return [Enrolled(*row) for row in rows]


def holding(transaction: Connection, hashes: Collection[str]) -> list[Enrolled]:
    """Return the gateways whose tokens have these hashes."""
    of = gateway.c
    rows = transaction.execute(select(of.name, of.environment, of.token_sha256).where(of.token_sha256.in_(hashes)))
    return [Enrolled(*row) for row in rows]


def environment_of(transaction: Connection, name: str) -> str:
    """Return the environment that the gateway is in, or was in when it retired."""
    environment: str = transaction.execute(select(gateway.c.environment).where(gateway.c.name == name)).scalar_one()
    return environment


def in_environment(transaction: Connection, environment: str) -> list[GatewayStatus]:
    """Return the gateways of an environment by name."""
    columns = [gateway.c[name] for name in GatewayStatus.__dataclass_fields__]
    rows = transaction.execute(select(*columns).where(*_those_of(environment)).order_by(gateway.c.name))
    return [GatewayStatus(*row) for row in rows]


def take_turns(transaction: Connection) -> None:
    """Let reports follow one another, until this transaction ends, whatever environments they are from."""
    if transaction.dialect.name == "sqlite":
        return  # BEGIN IMMEDIATE has done it
    for name in transaction.execute(select(environment.c.name).order_by(environment.c.name)).scalars().all():
        transaction.execute(update(environment).where(environment.c.name == name).values(type=environment.c.type))


def record(transaction: Connection, name: str, report: Report, *, at: datetime) -> bool:
    """Keep a report and tell whether it raised the gateway's generation, which never falls, however late a report is.

    Only what is news makes a row of history; a heartbeat moves `reported_at`.
    """
    of = gateway.c
    values = {
        "entries_sha256": report.entries_sha256,
        "phase": report.phase,
        "code": report.code,
        "detail": report.detail,
    }
    known = transaction.execute(select(of.generation, of.phase, of.code, of.environment).where(of.name == name)).one()
    if report.generation < known.generation and report.phase is not Phase.FAILED:
        return False
    # A failure says nothing about what is on disk but that it is not news: the generation stays.
    generation = known.generation if report.phase is Phase.FAILED else report.generation
    transaction.execute(update(gateway).where(of.name == name).values(generation=generation, reported_at=at, **values))
    if (generation, report.phase, report.code) != (known.generation, known.phase, known.code):
        here = {"gateway": name, "environment": known.environment}
        transaction.execute(insert(gateway_report).values(generation=generation, at=at, **here, **values))
    return bool(generation > known.generation)


def floor(transaction: Connection, environment: str) -> int | None:
    """Return the generation that every gateway of the environment has, None where there is no gateway."""
    lowest: int | None = transaction.execute(
        select(func.min(gateway.c.generation)).where(*_those_of(environment))
    ).scalar_one()
    return lowest


def arrivals(transaction: Connection, operation: str) -> list[Arrival]:
    """Return, for each gateway that has the operation's generation, the first report that says so."""
    of, wanted = gateway_report.c, operation_generation.c
    first = (
        select(func.min(of.id))
        .join_from(gateway_report, gateway, of.gateway == gateway.c.name)
        .join(operation_generation, wanted.environment == gateway.c.environment)
        .where(of.environment == wanted.environment)
        .where(wanted.operation == operation, of.generation >= wanted.generation, of.phase != Phase.FAILED)
        .group_by(of.gateway)
    )
    rows = transaction.execute(
        select(of.gateway, gateway.c.environment, of.generation, of.phase, of.at)
        .join_from(gateway_report, gateway, of.gateway == gateway.c.name)
        .where(of.id.in_(first))
        .order_by(of.id)
    )
    return [Arrival(*row) for row in rows]


def kept_back(transaction: Connection, operation: str) -> list[Arrival]:
    """Return the gateways that do not have the operation's generation because they fail, by name."""
    of, wanted = gateway.c, operation_generation.c
    rows = transaction.execute(
        select(of.name, of.environment, of.generation, of.phase, of.reported_at, of.code, of.detail)
        .join_from(gateway, operation_generation, wanted.environment == of.environment)
        .where(wanted.operation == operation, of.token_sha256.is_not(None))
        .where(of.generation < wanted.generation, of.phase == Phase.FAILED)
        .order_by(of.name)
    )
    return [Arrival(*row) for row in rows]


def _those_of(environment: str) -> tuple[ColumnElement[bool], ...]:
    return gateway.c.environment == environment, gateway.c.token_sha256.is_not(None)
