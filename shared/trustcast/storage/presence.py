"""Which gateways have a certificate, by what they reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from trustcast.domain import alias as aliases
from trustcast.storage import routing
from trustcast.storage.gateways import Phase
from trustcast.storage.tables import gateway, truststore_change, truststore_entry

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.certificates import TrustedCertificate


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the gateway `name` has the certificate, by what it reported last.

    It named a generation in which its environment holds it, and has not failed since: one that fails may hold anything.
    """

    name: str
    environment: str
    has_it: bool


def of_certificate(transaction: Connection, one: TrustedCertificate) -> list[Presence]:
    """Return every gateway that is to have the certificate, by environment and name.

    It has it from the generation that last put it there; a certificate that has just been routed to an environment is
    in no generation of that environment yet, so no gateway there has it.
    """
    place = one.alias_key, one.endpoint
    environments = routing.environments_of(transaction, one.tenant_id, [place])[place]
    since = _put_in(transaction, one)
    of = gateway.c
    enrolled = (
        select(of.name, of.environment, of.generation, of.phase)
        .where(of.environment.in_(environments), of.token_sha256.is_not(None))
        .order_by(of.environment, of.name)
    )

    def has_it(row: Any) -> bool:
        return row.phase not in (None, Phase.FAILED) and row.generation >= since.get(
            row.environment, row.generation + 1
        )

    return [Presence(row.name, row.environment, has_it(row)) for row in transaction.execute(enrolled)]


def _put_in(transaction: Connection, one: TrustedCertificate) -> dict[str, int]:
    """Return environment -> generation, where it is now; the certificate's index finds its few rows in a long log."""
    of, now = truststore_change.c, truststore_entry.c
    name = aliases.on_gateways(one.alias_key, one.tenant_id)
    rows = transaction.execute(
        select(of.environment, func.max(of.generation))
        .join_from(truststore_change, truststore_entry, now.environment == of.environment)
        .where(now.alias == of.alias, now.certificate == of.certificate)
        .where(of.certificate == one.fingerprint_sha256, of.alias == name)
        .group_by(of.environment)
    )
    return {environment: generation for environment, generation in rows}  # noqa: C416 - rows are no pairs to mypy
