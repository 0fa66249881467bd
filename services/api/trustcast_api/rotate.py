"""Rotate with overlap: how the next certificate beside an old one fares, and the requests that end a rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain.errors import NotFound, Rejected
from trustcast.domain.operation import Kind
from trustcast.storage import certificates, chains, presence, routing
from trustcast_api.complete_request import successor
from trustcast_api.request import Request

if TYPE_CHECKING:
    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.presence import Presence
    from trustcast.storage.session import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A rotation that is under way: both certificates, where they go, and which gateways have the next one."""

    current: TrustedCertificate
    following: TrustedCertificate
    environments: list[str]
    chains: dict[str, list[bytes]]  # by operation
    gateways: list[Presence]

    @property
    def converged(self) -> bool:
        """Whether the old certificate can go."""
        return all(one.has_it for one in self.gateways)


def finish(alias: str, *, force: bool = False) -> Request:
    """Return the request to let the next certificate take the place of the one with `alias`.

    With `force` also where that one serves APIs that the next does not.
    """
    return Request(kind=Kind.REPLACE, alias=alias, rotation=aliases.key(_following(alias)), force=force)


def cancel(alias: str) -> Request:
    """Return the request to let the next certificate go. Until it takes over it covers no use."""
    return Request(kind=Kind.DELETE, alias=_following(alias), rotation=aliases.key(alias), force=True)


def describe(database: Database, tenant_id: int, alias: str) -> Rotation:
    """Return how the rotation of the certificate with `alias` stands.

    Raises `NotFound("rotation_not_found")`, also while the request to begin one is still on its way.
    """
    with database.reading() as transaction:
        following = successor(transaction, tenant_id, aliases.key(alias))
        place = following.alias_key, following.endpoint
        reach = routing.environments_of(transaction, tenant_id, [place])
        current = certificates.get(transaction, tenant_id, aliases.key(alias))
        return Rotation(
            current=current,
            following=following,
            environments=sorted(reach[place]),
            chains=chains.of(transaction, [current.operation, following.operation]),
            gateways=presence.of_certificate(transaction, following),
        )


def _following(alias: str) -> str:
    try:
        return aliases.following(alias)
    except Rejected:
        raise NotFound("rotation_not_found", "No certificate with an alias of this length is ever rotated.") from None
