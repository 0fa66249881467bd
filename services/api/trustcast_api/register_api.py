"""Register a published API: its rows, the look at where its backends' certificates belong, and the answer."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from trustcast.domain.errors import Conflict
from trustcast.storage import apis, audit, routing
from trustcast.storage.apis import RegisteredApi
from trustcast_api.once import Answer, once, use_of
from trustcast_api.schemas_of_apis import ApiBody

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.published_api import PublishedApi
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


def register_api(
    database: Database, api: PublishedApi, *, who: Principal, idempotency_key: str | None, at: datetime
) -> Answer:
    """Return 201 with the API and its address.

    Raises `Rejected` (see `PublishedApi.check`), `Conflict("api_exists")`, `KeyReusedError`, `Unavailable`.
    """
    api.check()
    asked = use_of(who, idempotency_key, "register_api", api.asked())

    def work(transaction: Connection) -> Answer:
        refuse_taken_name(transaction, who.tenant_id, api)
        new = RegisteredApi(id=str(uuid.uuid4()), tenant_id=who.tenant_id, api=api, created_at=at, updated_at=at)
        apis.add(transaction, new)
        routing.look_again(transaction, source="api", at=at, tenant_id=who.tenant_id, endpoints=api.endpoints())
        audit.append(transaction, [audit.AuditEvent("api.registered", who.actor, {"api": new.id, **api.told()})], at=at)
        body = ApiBody.of(new).model_dump(mode="json")
        return Answer(201, body, {"Location": f"/v1/apis/{new.id}"})

    return once(database, asked, work, at=at)


def refuse_taken_name(transaction: Connection, tenant_id: int, api: PublishedApi, *, own: str | None = None) -> None:
    """Raise `Conflict("api_exists")` if another API than `own` has this name and version."""
    if apis.named(transaction, tenant_id, name=api.name, version=api.version) not in (None, own):
        raise Conflict("api_exists", "There is an API with this name and version; change that one.", field="name")
