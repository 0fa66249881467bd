"""A dry run: what uploads would come to, found as the door and the worker would, and nothing is written."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Conflict, Rejected, TrustcastError, Unavailable
from trustcast.domain.policy import KEY_REUSED, Warning  # noqa: A004 - the word of the contract
from trustcast.storage import blobs, certificates, coming, registers, routing, tenants, uses
from trustcast.storage.judge import judge
from trustcast.storage.operations import Operation
from trustcast_api.accept_request import Asked
from trustcast_api.complete_request import callers, complete
from trustcast_api.scheduled import Scheduled
from trustcast_api.settings import MOST_SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.policy import Policy
    from trustcast.storage.routing import Placed
    from trustcast.storage.session import Database
    from trustcast_api.principal import Principal
    from trustcast_api.request import Request
    from trustcast_api.settings import Unregistered


@dataclass(frozen=True, slots=True)
class Verdict:
    """A request to add that would be granted: what its owner would be warned of, and where the certificate would go."""

    request: Request
    certificate: Certificate
    warnings: tuple[Warning, ...]
    environments: Collection[str] = field(default=())

    @property
    def place(self) -> Placed:
        """Where the certificate would be."""
        return self.request.alias.lower(), self.request.endpoint or ""

    @property
    def key(self) -> str:
        """The SHA-256 of the certificate's public key."""
        return self.certificate.key.fingerprint_sha256


def judge_uploads(
    database: Database,
    requests: Sequence[Request],
    *,
    who: Principal,
    at: datetime,
    policy: Policy,
    unregistered: Unregistered,
    most_scheduled: int = MOST_SCHEDULED,
) -> list[Verdict | TrustcastError]:
    """Return what each of these requests to add would come to, if they came now and one after another.

    What is on its way is taken to be applied before them. `policy` is the installation's, for a tenant that has none
    of its own. Raises `Unavailable`.
    """
    with database.reading() as transaction:
        scheduled = Scheduled(transaction, most_scheduled, at=at)
        bench = _Bench(transaction, requests, scheduled, who=who, at=at, policy=policy, unregistered=unregistered)
        verdicts = [bench.verdict(one) for one in requests]
        granted = {one.place: one for one in verdicts if isinstance(one, Verdict)}
        names = {alias_key: one.certificate.server_names for (alias_key, _), one in granted.items()}
        reach = routing.environments_of(transaction, who.tenant_id, granted, names=names)
        reused = _reused(transaction, who.tenant_id, granted.values(), bench.coming_keys)
    whole = {
        place: _routed(one, reach[place], [KEY_REUSED] if one.key in reused else []) for place, one in granted.items()
    }
    return [whole[one.place] if isinstance(one, Verdict) else one for one in verdicts]


def _routed(one: Verdict, environments: Collection[str], more: Sequence[Warning]) -> Verdict:
    """With the warnings that are found where changes are applied, in the same order."""
    nowhere = [] if environments else [routing.NO_ENVIRONMENT]
    return replace(one, environments=environments, warnings=(*one.warnings, *nowhere, *more))


def _reused(
    transaction: Connection, tenant_id: int, granted: Iterable[Verdict], coming_keys: Collection[str]
) -> set[str]:
    """Return those keys of the certificates that another one has, stored, on its way or among them."""
    counted = Counter(one.key for one in granted)
    several = {key for key, count in counted.items() if count > 1}
    return several | counted.keys() & set(coming_keys) | certificates.known_keys(transaction, tenant_id, counted)


class _Bench:
    """One state of the database, and what the requests before have made of it."""

    def __init__(
        self,
        transaction: Connection,
        requests: Sequence[Request],
        scheduled: Scheduled,
        *,
        who: Principal,
        at: datetime,
        policy: Policy,
        unregistered: Unregistered,
    ) -> None:
        self._scheduled = scheduled
        self._transaction, self._who, self._at, self._unregistered = transaction, who, at, unregistered
        self._callers = callers(transaction, [(who.tenant_id, one) for one in requests])
        found = tenants.policies(transaction, [who.tenant_id], policy)
        self._policy = found[who.tenant_id]
        asked = [self._operation(one) for one in requests]
        due = max((one.activate_at for one in requests if one.activate_at is not None), default=at)
        before = coming.colliding(transaction, who.tenant_id, asked, due=max(due, at))
        self._register = registers.of(transaction, [*before, *asked], found)
        self._ders = blobs.read(transaction, [one.certificate for one in before if one.certificate])
        # Nothing is written here, so what holds for the first of a thousand that wait for an alias holds for all.
        self._users = functools.cache(functools.partial(uses.users, transaction, who.tenant_id))
        self.coming_keys = set[str]()  # of what is on its way and will be granted
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
            at=self._at,
        )
        self._scheduled.add(self._who.tenant_id, request)
        certificate, one = Certificate.parse(request.certificate or b""), self._operation(request)
        warnings = judge(one, certificate, self._policy, at=self._at)
        self._change(one)
        return Verdict(request, certificate, warnings)

    def _take(self, one: Operation) -> None:
        """Let one that is on its way take effect, if it will."""
        with contextlib.suppress(Rejected, Conflict):
            certificate = Certificate.parse(self._ders[one.certificate]) if one.certificate else None
            if certificate is not None:
                judge(one, certificate, self._policy, at=self._at)
            self._change(one, certificate)
            if certificate is not None:
                self.coming_keys.add(certificate.key.fingerprint_sha256)

    def _change(self, one: Operation, successor: Certificate | None = None) -> None:
        def check_not_needed(gone: Operation) -> None:
            tenant_id, alias_key = gone.tenant_id, gone.alias_key
            found = [] if gone.force else self._users(alias_key)
            if found and uses.uncovered(self._transaction, tenant_id, alias_key, successor=successor, found=found):
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
