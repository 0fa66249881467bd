"""Who uses a certificate, where it goes, and which gateways have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.storage import certificates, presence, routing, uses

if TYPE_CHECKING:
    from trustcast.storage.presence import Presence
    from trustcast.storage.session import Database
    from trustcast.storage.uses import Use


@dataclass(frozen=True, slots=True)
class Usage:
    """The API endpoints that a certificate serves, its environments by name, and their gateways."""

    apis: list[Use]
    environments: list[str]
    gateways: list[Presence]


def usage(database: Database, tenant_id: int, alias_key: str) -> Usage:
    """Return how one certificate is used. Raises `NotFound("certificate_not_found")`."""
    with database.reading() as transaction:
        one = certificates.get(transaction, tenant_id, alias_key)
        place = alias_key, one.endpoint
        reach = routing.environments_of(transaction, tenant_id, [place])
        return Usage(
            apis=uses.users(transaction, tenant_id, alias_key),
            environments=sorted(reach[place]),
            gateways=presence.of_certificate(transaction, one),
        )
