"""Hold a request against what is trusted now: refuse what is certain to fail, add what it takes over.

Certain is little: what is on its way may change what is trusted before this request's turn comes. The last word is
spoken where changes are applied.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain import register
from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Conflict, NotFound, Rejected
from trustcast.domain.operation import Kind
from trustcast.domain.published_api import SUPPORTED_TYPES
from trustcast.storage import apis, certificates, chains, operations, presence, unended, uses
from trustcast.storage.apis import Caller
from trustcast_api.problems import HinderedError
from trustcast_api.settings import Unregistered

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast_api.request import Request

_BRINGING = (Kind.ADD, Kind.REPLACE)


Callers = Mapping[tuple[int, str], Sequence[Caller]]
"""Tenant and endpoint -> the APIs that call it."""


def callers(transaction: Connection, requests: Iterable[tuple[int, Request]]) -> Callers:
    """Return what `complete` needs to know for these requests of tenants, looked up for all at once."""
    endpoints = defaultdict[int, set[str]](set)
    for tenant_id, request in requests:
        if request.endpoint is not None:
            endpoints[tenant_id].add(request.endpoint)
    return {
        (tenant_id, endpoint): found
        for tenant_id, some in endpoints.items()
        for endpoint, found in apis.callers_of(transaction, tenant_id, some).items()
    }


def complete(
    transaction: Connection,
    request: Request,
    *,
    tenant_id: int,
    unregistered: Unregistered,
    callers: Callers,
    at: datetime,
) -> Request:
    """Return the request with the endpoint and certificate that it takes over from what is trusted.

    What is scheduled for later than this request is not on its way to it. Raises `NotFound` for what is neither trusted
    nor on its way, `PreconditionFailed`, and `Conflict` with the codes `certificate_in_use`, `rotation_not_converged`,
    `endpoint_type_unsupported` and `endpoint_not_registered`.
    """
    door = _Door(transaction, tenant_id, max(at, request.activate_at or at))
    match request.kind, request.rotation:
        case Kind.ADD, None:
            _check_endpoint(callers.get((tenant_id, request.endpoint or ""), ()), unregistered)
            return request
        case Kind.ADD, str(base):
            alias, endpoint = _Known(door, base).alias_and_endpoint()
            return replace(request, alias=aliases.following(alias), endpoint=endpoint)
        case Kind.REPLACE, None:
            known = _Known(door, request.alias.lower())
            known.check_match(request.if_match)
            alias, endpoint = known.alias_and_endpoint()
            _check_not_needed(door, request)
            return replace(request, alias=alias, endpoint=endpoint)
        case Kind.REPLACE, _:
            request = _with_next(door, request)
            _check_not_needed(door, request)
            return request
        case _, None:
            _check_delete(door, request)
            return request
        case _:
            _check_rotation(door, request)
            return request


@dataclass(frozen=True, slots=True)
class _Door:
    """Whose request it is, and when it is to be applied at the earliest."""

    transaction: Connection
    tenant_id: int
    due: datetime


class _Known:
    """What is known of an alias: what is on its way to change it, and what is trusted."""

    def __init__(self, door: _Door, alias_key: str) -> None:
        self._transaction, self._of = door.transaction, (door.tenant_id, alias_key)
        # Looked at before what is trusted: what is applied between the two looks is seen as trusted, and not missed.
        self.pending = unended.pending(self._transaction, *self._of, due=door.due)
        self.coming = [one for one in self.pending if one.kind in _BRINGING and one.alias_key == alias_key]

    def trusted(self) -> TrustedCertificate:
        """Raises `NotFound("certificate_not_found")`."""
        return certificates.get(self._transaction, *self._of)

    def alias_and_endpoint(self) -> tuple[str, str]:
        """Return both as they will stand when all that is on its way has been applied."""
        if self.coming:
            return self.coming[-1].alias, self.coming[-1].endpoint or ""
        trusted = self.trusted()
        return trusted.alias, trusted.endpoint

    def comes_beside(self, base: str) -> bool:
        """Tell whether a rotation of `base` (an alias key) is on its way to begin."""
        return any(one.kind is Kind.ADD and one.rotation == base for one in self.pending)

    def check_match(self, if_match: str | None) -> None:
        if if_match is not None and not self.pending:
            register.check_match(self.trusted().fingerprint_sha256, if_match)


def _check_endpoint(callers: Sequence[Caller], unregistered: Unregistered) -> None:
    if callers and not any(one.type in SUPPORTED_TYPES for one in callers):
        first, *others = callers
        more = f", and so for {len(others)} more" if others else ""
        raise Conflict(
            "endpoint_type_unsupported",
            f"The API that calls this endpoint, {first.name} {first.version}, is of type {first.type}{more}; "
            "certificates are for endpoints of APIs of the types HTTP/REST and HTTP/SOAP.",
            field="endpoint",
        )
    if not callers and unregistered is Unregistered.REFUSE:
        raise Conflict(
            "endpoint_not_registered",
            "No API calls this endpoint; register the API first, or set TRUSTCAST_UNREGISTERED_ENDPOINTS=allow.",
            field="endpoint",
        )


def _check_delete(door: _Door, request: Request) -> None:
    known = _Known(door, request.alias.lower())
    known.check_match(request.if_match)
    if not known.coming:
        known.trusted()
    _check_not_needed(door, request)


def _check_not_needed(door: _Door, request: Request) -> None:
    # What is on its way may cover the uses that would end.
    if request.force or unended.any_pending(door.transaction, door.tenant_id, kinds=_BRINGING, due=door.due):
        return
    successor = Certificate.parse(request.certificate) if request.certificate is not None else None
    ending = uses.uncovered(door.transaction, door.tenant_id, request.alias.lower(), successor=successor)
    if ending:
        raise HinderedError(
            "certificate_in_use",
            "APIs need this certificate and no other covers them; they are listed under users. "
            "Add another for them first, or ask again with force=true.",
            members={"users": [asdict(one) for one in ending]},
        )


def _check_rotation(door: _Door, request: Request) -> None:
    """The next certificate, trusted or on its way, is one that the base alias' rotation brought."""
    base = request.rotation or ""
    if not _Known(door, request.alias.lower()).comes_beside(base):
        successor(door.transaction, door.tenant_id, base)


def _with_next(door: _Door, request: Request) -> Request:
    """The certificate of the next alias takes the old one's place, judged as it was when it came."""
    base, following = request.alias.lower(), request.rotation or ""
    if _Known(door, following).comes_beside(base):
        raise Conflict("rotation_not_converged", "The next certificate is on its way; no gateway has it yet.")
    new = successor(door.transaction, door.tenant_id, base)
    lacking = [one for one in presence.of_certificate(door.transaction, new) if not one.has_it]
    if lacking:
        raise HinderedError(
            "rotation_not_converged",
            f"Gateways that do not have the next certificate yet: {', '.join(one.name for one in lacking)}.",
            members={"gateways": [{"name": one.name, "environment": one.environment} for one in lacking]},
        )
    put = operations.get(door.transaction, door.tenant_id, new.operation)
    alias, endpoint = _Known(door, base).alias_and_endpoint()
    return replace(
        request,
        alias=alias,
        endpoint=endpoint,
        certificate=new.certificate,
        chain=tuple(chains.of(door.transaction, [new.operation]).get(new.operation, ())),
        ca=put.ca,
        accept_expired=put.accept_expired,
    )


def successor(transaction: Connection, tenant_id: int, base: str) -> TrustedCertificate:
    """Return the certificate that is to take the place of the one with the alias key `base`.

    Raises `NotFound("rotation_not_found")`.
    """
    with contextlib.suppress(NotFound, Rejected):  # no such certificate, and no such alias
        found = certificates.get(transaction, tenant_id, aliases.following(base))
        if found.rotates == base:
            return found
    raise NotFound("rotation_not_found", _no_rotation(transaction, tenant_id, base))


def _no_rotation(transaction: Connection, tenant_id: int, alias_key: str) -> str:
    with contextlib.suppress(NotFound):
        rotates = certificates.get(transaction, tenant_id, alias_key).rotates
        if rotates is not None:
            return f"This is the next certificate of {rotates}; ask for /v1/certificates/{rotates}/rotation."
    return "No rotation of a certificate with this alias is under way."
