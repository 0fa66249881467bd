"""Change a registered API; the certificates of backends that it calls no more, or newly, may move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trustcast.storage import apis, audit, routing
from trustcast_api.once import Answer, once, use_of
from trustcast_api.register_api import refuse_taken_name
from trustcast_api.schemas_of_apis import ApiBody

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.published_api import PublishedApi
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal


def change_api(
    database: Database,
    id: str,  # noqa: A002 - the field's name
    api: PublishedApi,
    *,
    who: Principal,
    idempotency_key: str | None,
    at: datetime,
) -> Answer:
    """Return 200 with the API as it is now; what was so before changes nothing.

    Raises `Rejected` (see `PublishedApi.check`), `NotFound("api_not_found")`, `Conflict("api_exists")`,
    `KeyReusedError`, `Unavailable`.
    """
    api.check()
    asked = use_of(who, idempotency_key, "change_api", id, api.asked())

    def work(transaction: Connection) -> Answer:
        old = apis.hold(transaction, who.tenant_id, id)
        new = replace(old, api=api, updated_at=at)
        if api == old.api:
            return Answer(200, ApiBody.of(old).model_dump(mode="json"))
        refuse_taken_name(transaction, who.tenant_id, api, own=id)
        apis.change(transaction, new)
        moved = {endpoint for endpoint, _ in api.decisive() ^ old.api.decisive()}
        routing.look_again(transaction, source="api", at=at, tenant_id=who.tenant_id, endpoints=moved)
        facts = {"api": id, "before": old.api.told(), "after": api.told()}
        audit.append(transaction, [audit.AuditEvent("api.changed", who.actor, facts)], at=at)
        return Answer(200, ApiBody.of(new).model_dump(mode="json"))

    return once(database, asked, work, at=at)
