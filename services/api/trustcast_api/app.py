"""Wires the api: settings in, a FastAPI application out."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustcast import broker
from trustcast.settings import SettingsError, secret
from trustcast.storage import gateways, migrate, operations, truststores
from trustcast.storage.gateways import Enrolled
from trustcast.storage.session import Database
from trustcast_api import oidc, openapi, problems, routes, tokens
from trustcast_api.app_context import Context
from trustcast_api.body_limit import BodyLimit
from trustcast_api.drainer import Drainer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trustcast_api.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Return the application. Raises `SettingsError`, or `Unavailable` for a database that is not there or not ours."""
    database = Database(settings.database())
    migrate.check(database)
    enrol(database, settings.gateways_file)
    admin_token = tokens.digest(secret(settings.admin_token_file))
    known = tokens.Tokens(database, admin_token, oidc.provider_of(settings))
    sender = broker.connect(settings.broker(), settings.redis())
    drainer = Drainer(database, sender)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        drainer.start()
        yield
        drainer.stop()
        sender.close()
        database.close()

    # The interactive pages load scripts from elsewhere; the document itself is served.
    app = FastAPI(title="Trustcast", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.context = Context(database, sender, drainer, known, settings)
    app.add_middleware(BodyLimit)
    problems.install(app)
    for router in routes.ALL:
        app.include_router(router)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's way to extend it
    return app


class _GatewayLine(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")
    environment: str
    token_sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _GatewaysFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    gateways: list[_GatewayLine]


def enrol(database: Database, path: Path) -> None:
    """Enrol the gateways that the file names, and no others.

    Raises `SettingsError` for a file that cannot be understood.
    """
    try:
        named = _GatewaysFile.model_validate_json(secret(path)).gateways
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    for what, values in (("name", [one.name for one in named]), ("token", [one.token_sha256 for one in named])):
        if len(set(values)) < len(values):
            raise SettingsError(f"{path} gives two gateways the same {what}; each needs its own.")
    with database.writing() as transaction:
        environments = truststores.environments(transaction)
        for environment in {one.environment for one in named} - set(environments):
            raise SettingsError(f"{path} names the environment {environment}, which does not exist.")
        lines = [Enrolled(one.name, one.environment, one.token_sha256) for one in named]
        gateways.enrol(transaction, lines, at=datetime.now(UTC))
        # What only a retired gateway was waited for has arrived.
        for environment in environments:
            floor = gateways.floor(transaction, environment)
            upto = truststores.status(transaction, environment).generation if floor is None else floor
            arrived = operations.reached(environment, above=0, upto=upto)
            operations.converge(transaction, arrived, at=datetime.now(UTC))
        transaction.commit()
