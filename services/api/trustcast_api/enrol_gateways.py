"""Enrol the gateways that the file names: the fleet is what stands there, as far as its environments exist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustcast.settings import SettingsError, secret
from trustcast.storage import arrivals, audit, gateways, truststores
from trustcast.storage.audit import Actor, AuditEvent
from trustcast.storage.gateways import Enrolled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from trustcast.storage.session import Database

log = structlog.get_logger("trustcast.api")


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")
    environment: str
    token_sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    gateways: list[_Line]


def enrol(database: Database, path: Path) -> None:
    """Enrol the gateways that the file names, and no others. Raises `SettingsError` for a file that is not understood.

    One of an environment that does not exist (yet) is not enrolled, and the log says so: environments are made over
    HTTP, for which the api has to run.
    """
    named = _read(path)
    with database.writing() as transaction:
        # Of a report at the same time either would miss that with the other everybody has arrived.
        gateways.take_turns(transaction)
        known = truststores.environments(transaction)
        for environment in sorted({one.environment for one in named} - set(known)):
            log.warning("environment_unknown", environment=environment, next="its gateways wait until it is made")
        lines = [Enrolled(one.name, one.environment, one.token_sha256) for one in named if one.environment in known]
        before = gateways.enrolled(transaction)
        gateways.enrol(transaction, lines, at=datetime.now(UTC))
        _stamp_what_arrived(transaction, known)
        audit.append(transaction, _audited(before, lines), at=datetime.now(UTC))
        transaction.commit()


def _audited(before: Sequence[Enrolled], after: Sequence[Enrolled]) -> list[AuditEvent]:
    """A gateway that comes, moves or gets another token is enrolled; one that only starts again is no news."""
    names = {one.name for one in after}
    news = [("gateway.retired", one) for one in before if one.name not in names]
    news += [("gateway.enrolled", one) for one in after if one not in before]
    who = Actor("api", None)
    return [AuditEvent(action, who, {"gateway": one.name, "environment": one.environment}) for action, one in news]


def enrol_what_waits(database: Database, path: Path) -> None:
    """Do the same after environments changed; a file that cannot be understood now is the next start's trouble."""
    try:
        enrol(database, path)
    except SettingsError as error:
        log.warning("gateways_file_unusable", reason=str(error))


def _read(path: Path) -> list[_Line]:
    try:
        named = _File.model_validate_json(secret(path)).gateways
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    for what, values in (("name", [one.name for one in named]), ("token", [one.token_sha256 for one in named])):
        if len(set(values)) < len(values):
            raise SettingsError(f"{path} gives two gateways the same {what}; each needs its own.")
    return named


def _stamp_what_arrived(transaction: Connection, environments: Sequence[str]) -> None:
    """What only a retired gateway was waited for has arrived."""
    for environment in environments:
        floor = gateways.floor(transaction, environment)
        upto = truststores.status(transaction, environment).generation if floor is None else floor
        arrived = arrivals.reached(environment, above=0, upto=upto)
        arrivals.converge(transaction, arrived, at=datetime.now(UTC))
