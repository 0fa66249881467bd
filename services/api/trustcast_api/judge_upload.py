"""A dry run: what uploads would come to, found as the door and the worker would, and nothing is written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trustcast.domain import policy as policies
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Conflict, Rejected, TrustcastError, Unavailable
from trustcast.storage import blobs, coming, registers, routing, tenants, uses
from trustcast.storage.operations import Kind, Operation
from trustcast_api.accept_request import Asked
from trustcast_api.complete_request import callers, complete

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.policy import Policy
    from trustcast.storage.routing import Placed
    from trustcast.storage.session import Database
    from trustcast_api.accept_request import Request
    from trustcast_api.principal import Principal
    from trustcast_api.settings import Unregistered


@dataclass(frozen=True, slots=True)
class Verdict:
    """A request to add that would be granted: what its owner would be warned of, and where the certificate would go."""

    request: Request
    certificate: Certificate
    warnings: tuple[policies.Warning, ...]
    environments: Collection[str] = field(default=())

    @property
    def place(self) -> Placed:
        """Where the certificate would be."""
        return self.request.alias.lower(), self.request.endpoint or ""


def judge_uploads(
    database: Database,
    requests: Sequence[Request],
    *,
    who: Principal,
    at: datetime,
    policy: Policy,
    unregistered: Unregistered,
) -> list[Verdict | TrustcastError]:
    """Return what each of these requests to add would come to, if they came now and one after another.

    What is on its way is taken to be applied before them. `policy` is the installation's, for a tenant that has none
    of its own. Raises `Unavailable`.
    """
    with database.reading() as transaction:
        bench = _Bench(transaction, requests, who=who, at=at, policy=policy, unregistered=unregistered)
        verdicts = [bench.verdict(one) for one in requests]
        granted = [one for one in verdicts if isinstance(one, Verdict)]
        names = {one.place[0]: one.certificate.server_names for one in granted}
        reach = routing.environments_of(transaction, who.tenant_id, [one.place for one in granted], names=names)
    return [replace(one, environments=reach[one.place]) if isinstance(one, Verdict) else one for one in verdicts]


class _Bench:
    """One state of the database, and what the requests before have made of it."""

    def __init__(
        self,
        transaction: Connection,
        requests: Sequence[Request],
        *,
        who: Principal,
        at: datetime,
        policy: Policy,
        unregistered: Unregistered,
    ) -> None:
        self._transaction, self._who, self._at, self._unregistered = transaction, who, at, unregistered
        self._callers = callers(transaction, [(who.tenant_id, one) for one in requests])
        found = tenants.policies(transaction, [who.tenant_id], policy)
        self._policy = found[who.tenant_id]
        asked = [self._operation(one) for one in requests]
        due = max((one.activate_at for one in requests if one.activate_at is not None), default=at)
        before = coming.colliding(transaction, who.tenant_id, asked, due=max(due, at))
        self._register = registers.of(transaction, [*before, *asked], found)
        self._ders = blobs.read(transaction, [one.certificate for one in before if one.certificate])
        for one in before:
            self._take(one)

    def verdict(self, request: Request) -> Verdict | TrustcastError:
        try:
            return Asked(request, self._who).refusal() or self._granted(request)
        except Unavailable:
            raise
        except TrustcastError as refused:
            return refused

    def _granted(self, request: Request) -> Verdict:
        request = complete(
            self._transaction,
            request,
            tenant_id=self._who.tenant_id,
            unregistered=self._unregistered,
            callers=self._callers,
        )
        certificate, one = Certificate.parse(request.certificate or b""), self._operation(request)
        warnings = self._checked(one, certificate)
        self._change(one)
        return Verdict(request, certificate, warnings)

    def _take(self, one: Operation) -> None:
        """Let one that is on its way take effect, if it will."""
        certificate = Certificate.parse(self._ders[one.certificate]) if one.certificate else None
        try:
            if certificate is not None:
                self._checked(one, certificate)
            self._change(one, certificate)
        except (Rejected, Conflict):
            return

    def _checked(self, one: Operation, certificate: Certificate) -> tuple[policies.Warning, ...]:
        return self._policy.check(
            certificate,
            endpoint=Endpoint.of_url(one.endpoint or ""),
            at=self._at,
            ca=one.ca,
            # The end of a rotation brings what is trusted already.
            accept_expired=one.accept_expired or (one.kind is Kind.REPLACE and one.rotation is not None),
            activate_at=one.activate_at,
        )

    def _change(self, one: Operation, successor: Certificate | None = None) -> None:
        def check_not_needed(gone: Operation) -> None:
            tenant_id, alias_key = gone.tenant_id, gone.alias_key
            if not gone.force and uses.uncovered(self._transaction, tenant_id, alias_key, successor=successor):
                raise Conflict("certificate_in_use", "APIs need this certificate and no other covers them.")

        registers.change(self._register, one, check_not_needed=check_not_needed)

    def _operation(self, request: Request) -> Operation:
        return Operation(
            id="",
            kind=request.kind,
            alias=request.alias,
            endpoint=request.endpoint,
            ca=request.ca,
            accept_expired=request.accept_expired,
            activate_at=request.activate_at,
            fingerprint_sha256=hashlib.sha256(request.certificate or b"").hexdigest(),
            requested_by=self._who.name,
            tenant_id=self._who.tenant_id,
            accepted_at=self._at,
        )
