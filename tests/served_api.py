"""The api as its clients see it: over HTTP on loopback, with the worker's use cases at hand."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.certificates import Made
from tests.pipeline import Pipeline
from trustcast import settings
from trustcast.domain.truststore import Truststore
from trustcast.storage import tables
from trustcast.storage.session import Database
from trustcast_api.app import create_app
from trustcast_api.body_limit import BodyLimit
from trustcast_api.bounded_head import BoundedHead
from trustcast_api.server_options import OPTIONS
from trustcast_api.settings import Settings

ADMIN = "admin-token"
GATEWAYS = {"g1": "default", "g2": "default", "elsewhere": "other"}


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx reads all public CAs for each client that has none


def token(name: str) -> str:
    """The token of a gateway."""
    return f"token-of-{name}"


@dataclass
class ServedApi:
    """A running api; `pipeline` works on its database as the worker would."""

    url: str
    database_url: str
    folder: Path
    database: Database = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.database_url)
        self.pipeline = Pipeline(self.database, per_endpoint=None)

    def client(self, token: str | None = ADMIN) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=_NO_TLS)

    def ask(self, method: str, path: str, *, as_: str | None = ADMIN, **options: Any) -> httpx.Response:
        with self.client(as_) as client:
            return client.request(method, path, **options)

    def upload(
        self, alias: str, made: Made, endpoint: str = "", *, headers: Mapping[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        data = {"alias": alias, "endpoint": endpoint or f"https://{alias.lower()}.example", **fields}
        return self.ask("POST", "/v1/certificates", data=data, files={"certificate": made.pem}, headers=headers)

    def work(self) -> bool:
        """Do the worker's part for everything that waits; tell whether there was anything."""
        self.pipeline.at = max(self.pipeline.at, datetime.now(UTC))
        worked = False
        while self.pipeline.run():
            worked = True
        return worked


def environ(folder: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """What a process of the api is told; its files are made in `folder`."""
    (folder / "admin.token").write_text(ADMIN + "\n")
    lines = [
        {"name": name, "environment": where, "token_sha256": hashlib.sha256(token(name).encode()).hexdigest()}
        for name, where in GATEWAYS.items()
    ]
    (folder / "gateways.json").write_text(json.dumps({"gateways": lines}))
    return {
        "TRUSTCAST_DATABASE_URL": database_url,
        "TRUSTCAST_REDIS_URL": redis_url,
        "TRUSTCAST_ADMIN_TOKEN_FILE": str(folder / "admin.token"),
        "TRUSTCAST_GATEWAYS_FILE": str(folder / "gateways.json"),
    }


def add_environment(database_url: str, name: str) -> None:
    """Give the database one more environment, empty, without gateways."""
    database = Database(database_url)
    with database.writing() as transaction:
        transaction.execute(tables.environment.insert().values(name=name, type="sandbox"))
        empty = Truststore().digest()
        transaction.execute(
            tables.truststore.insert().values(environment=name, generation=0, entries=0, entries_sha256=empty)
        )
        transaction.commit()
    database.close()


@contextmanager
def served(
    folder: Path,
    database_url: str,
    redis_url: str,
    more: Mapping[str, str] | None = None,
    *,
    patience: Mapping[str, float] | None = None,
    http: type[BoundedHead] = BoundedHead,
) -> Iterator[ServedApi]:
    """Serve the api from a thread of this process; its database needs the environment `other`; `more` are settings.

    `patience` is what `BodyLimit` takes for slow bodies, `http` what waits for slow heads.
    """
    app = create_app(settings.load(Settings, environ(folder, database_url, redis_url) | dict(more or {})))
    for middleware in app.user_middleware:
        if middleware.cls is BodyLimit:  # type: ignore[comparison-overlap]  # a class is a factory
            middleware.kwargs.update(patience or {})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, timeout_graceful_shutdown=1, **OPTIONS | {"http": http})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < until, "the api does not start"
            time.sleep(0.005)
        api = ServedApi(f"http://127.0.0.1:{listening.getsockname()[1]}", database_url, folder)
        try:
            yield api
        finally:
            server.should_exit = True
            thread.join()
            api.database.close()
