"""Published APIs and environments for tests, through the use cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.pipeline import ADMIN
from trustcast.domain.environment import EnvironmentType
from trustcast.domain.policy import USUAL, Policy
from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi
from trustcast.storage.session import Database
from trustcast.storage.tenants import OnExpiry
from trustcast_api.change_api import change_api
from trustcast_api.change_environment import change_environment
from trustcast_api.change_tenant import PolicyChange, change_tenant
from trustcast_api.once import Answer
from trustcast_api.principal import Principal
from trustcast_api.register_api import register_api
from trustcast_api.remove_api import remove_api

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def backends(urls: str | Sequence[str] | None) -> Backends | None:
    """One URL is a single endpoint, several share the load."""
    if urls is None:
        return None
    if isinstance(urls, str):
        return Backends(EndpointKind.SINGLE, (urls,))
    return Backends(EndpointKind.LOAD_BALANCED, tuple(urls))


def api(
    name: str = "Pizza",
    production: str | Sequence[str] | None = None,
    sandbox: str | Sequence[str] | None = None,
    **others: str,
) -> PublishedApi:
    told = {"version": "1.0.0", "context": f"/{name.lower()}", "provider": "admin", "type": "HTTP/REST", **others}
    return PublishedApi(name=name, production=backends(production), sandbox=backends(sandbox), **told)


def register(database: Database, one: PublishedApi, *, who: Principal = ADMIN, key: str | None = None) -> str:
    """Register an API and return its id."""
    answer = register_api(database, one, who=who, idempotency_key=key, at=NOON)
    return str(answer.body["id"])


def change(database: Database, id: str, one: PublishedApi, *, who: Principal = ADMIN) -> dict[str, Any]:  # noqa: A002
    body: dict[str, Any] = change_api(database, id, one, who=who, idempotency_key=None, at=NOON).body
    return body


def remove(database: Database, id: str, *, who: Principal = ADMIN, key: str | None = None) -> Answer:  # noqa: A002
    return remove_api(database, id, who=who, idempotency_key=key, at=NOON)


def environment(
    database: Database, name: str, kind: str, description: str | None = None, *, key: str | None = None
) -> Answer:
    return change_environment(
        database,
        name,
        type=EnvironmentType(kind),
        description=description,
        who=ADMIN,
        idempotency_key=key,
        at=NOON,
    )


def tenant(
    database: Database,
    id: int,  # noqa: A002
    domain: str = "",
    on_expiry: str = "keep",
    *,
    policy: dict[str, Any] | None = None,
    usual: Policy = USUAL,
) -> Answer:
    return change_tenant(
        database,
        id,
        domain=domain or f"tenant-{id}.example",
        on_expiry=OnExpiry(on_expiry),
        who=ADMIN,
        idempotency_key=None,
        at=NOON,
        policy=PolicyChange(policy or {}, usual),
    )


def publisher_of(tenant_id: int) -> Principal:
    """Somebody who may change APIs and certificates of one tenant, and nothing else."""
    scopes = frozenset({"apim:api_manage", "apim:ep_certificates_manage"})
    return Principal(name=f"token:{tenant_id}", tenant_id=tenant_id, scopes=scopes)
