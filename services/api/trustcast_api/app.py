"""Wires the api: settings in, a FastAPI application out."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import FastAPI

from trustcast import broker
from trustcast.settings import secret
from trustcast.storage import migrate
from trustcast.storage.session import Database
from trustcast_api import oidc, openapi, problems, routes, tokens
from trustcast_api.app_context import Context
from trustcast_api.behind_proxies import BehindProxies
from trustcast_api.body_limit import BodyLimit
from trustcast_api.commit_together import CommitTogether
from trustcast_api.drainer import Drainer
from trustcast_api.endings import Endings
from trustcast_api.enrol_gateways import enrol
from trustcast_api.publisher import certificates, endpoint_certificates
from trustcast_api.reading.reader import Reader
from trustcast_api.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Lifespan

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
    refusals = Refusals(database, now=lambda: datetime.now(UTC))
    together = CommitTogether(
        database,
        unregistered=settings.unregistered_endpoints,
        most_scheduled=settings.scheduled_per_tenant,
        now=lambda: datetime.now(UTC),
        accepted=drainer.wake,
    )
    readers = Reader(most_waiting=64), Reader(most_waiting=8)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        drainer.start()
        yield
        await together.stop()
        for reader in readers:
            reader.close()
        drainer.stop()
        refusals.stop()
        sender.close()
        database.close()

    app = application(lifespan)
    if settings.trusted_proxies:
        app.add_middleware(BehindProxies, trusted=settings.trusted_proxies)
    endings = Endings(database)
    app.state.context = Context(database, sender, drainer, known, settings, refusals, endings, together, *readers)
    return app


def application(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return the application without what its routes work with: enough to know what it offers."""
    # The interactive pages load scripts from elsewhere; the document itself is served.
    app = FastAPI(title="Trustcast", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)
    problems.install(app)
    for router in (*routes.ALL, endpoint_certificates.router, certificates.router):
        app.include_router(router)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's way to extend it
    return app
