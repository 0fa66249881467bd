"""Decide which requests take effect, in the order of acceptance, and write down what is trusted then."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trustcast.domain.certificate import REASONS
from trustcast.domain.errors import Conflict, Rejected
from trustcast.domain.operation import Kind
from trustcast.storage import blobs, certificates, registers, tenants, uses
from trustcast.storage.certificates import TrustedCertificate
from trustcast.storage.judge import judge
from trustcast.storage.operations import Operation
from trustcast_worker.parsed import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.certificate import Certificate
    from trustcast.domain.policy import Policy
    from trustcast.domain.register import Holding
    from trustcast.storage.uses import Use

Key = tuple[int, str]  # tenant, alias key


@dataclass(frozen=True, slots=True)
class Effect:
    """What one request did: who held its alias before, and who after it. The same: it changed nothing."""

    operation: Operation
    before: Holding | None
    after: Holding | None

    @property
    def endpoint(self) -> str:
        """The endpoint, in normal form, of what came or went."""
        held = self.after or self.before
        return held.endpoint if held else ""

    @property
    def keys(self) -> list[Key]:
        """The aliases that were touched: with the end of a rotation also the one that it frees."""
        return _keys(self.operation)


def _keys(one: Operation) -> list[Key]:
    also = [one.rotation] if one.kind is Kind.REPLACE and one.rotation else []
    return [(one.tenant_id, alias_key) for alias_key in (one.alias_key, *also)]


@dataclass(slots=True)
class Outcome:
    """What a batch comes to: requests that took effect, requests refused, and who holds the touched aliases now."""

    effects: list[Effect] = field(default_factory=list)
    refused: list[tuple[Operation, Conflict | Rejected]] = field(default_factory=list)
    touched: dict[Key, Holding | None] = field(default_factory=dict)
    key_reused: set[str] = field(default_factory=set)  # the ids of those requests whose key another certificate has
    looked_again: bool = False  # whether it was decided anew where certificates go
    left_some: bool = False  # whether the batch left some out that waited, too

    @property
    def done(self) -> list[Operation]:
        """The requests that took effect."""
        return [one.operation for one in self.effects]

    def __bool__(self) -> bool:
        return bool(self.effects or self.refused or self.looked_again)


def decide(transaction: Connection, waiting: Sequence[Operation], *, policy: Policy, at: datetime) -> Outcome:
    """Decide about `waiting`; what is trusted then is written down, but in no truststore. The caller holds the fences.

    A request that the state forbids, or by now its tenant's policy (`policy`, where that has none), ends up among the
    refused and changes nothing.
    """
    batch = _Batch(transaction, waiting, tenants.policies(transaction, {one.tenant_id for one in waiting}, policy), at)
    for one in waiting:
        try:
            batch.take(one)
        except (Conflict, Rejected) as refusal:
            batch.outcome.refused.append((one, refusal))
    batch.write_down()
    batch.look_for_keys()
    return batch.outcome


class _Brought:
    """The certificates that a batch brings: read at once, each parsed once."""

    def __init__(self, transaction: Connection, waiting: Sequence[Operation]) -> None:
        self._ders = blobs.read(transaction, [one.certificate for one in waiting if one.certificate])
        self._parsed: dict[str, Certificate] = {}

    def by(self, one: Operation) -> Certificate:
        """Return what a request brings. Raises `Rejected`."""
        sha256 = one.certificate or ""
        if sha256 not in self._parsed:
            self._parsed[sha256] = _read(self._ders[sha256], sha256)
        return self._parsed[sha256]


def _read(der: bytes, sha256: str) -> Certificate:
    found = parsed(der)
    if found.fingerprint_sha256 != sha256:
        raise Rejected("certificate_unreadable", REASONS["certificate_unreadable"], field="certificate")
    return found


def _names(transaction: Connection, waiting: Sequence[Operation]) -> dict[int, dict[str, set[str]]]:
    """Return tenant -> alias key -> the names of those trusted certificates that are to be replaced.

    Most replacements have all the old one's names, and need no look at who uses what; one by one a batch takes 20 times
    as long.
    """
    alias_keys = defaultdict[int, set[str]](set)
    for one in waiting:
        if one.kind is Kind.REPLACE and not one.force:
            alias_keys[one.tenant_id].add(one.alias_key)
    return {tenant: certificates.server_names(transaction, tenant, keys) for tenant, keys in alias_keys.items()}


class _Batch:
    """Requests as they are decided. What is trusted is written down before somebody has to look at it."""

    def __init__(
        self, transaction: Connection, waiting: Sequence[Operation], policies: Mapping[int, Policy], at: datetime
    ) -> None:
        self.outcome = Outcome()
        self._transaction = transaction
        self._policies, self._at = policies, at
        self._register = registers.of(transaction, waiting, policies)
        self._brought = _Brought(transaction, waiting)
        self._names = _names(transaction, waiting)
        self._put_by: dict[Key, Operation] = {}
        self._unwritten: set[Key] = set()
        self._stored: dict[Key, bool] = {}  # whether there is a row of that alias: most often there is none to delete

    def take(self, one: Operation) -> None:
        """Let one request take effect. Raises `Conflict` or `Rejected`, and nothing has changed."""
        if one.kind is not Kind.DELETE:
            judge(one, self._brought.by(one), self._policies[one.tenant_id], at=self._at)
        before = {key: self._register.held(*key) for key in _keys(one)}
        registers.change(self._register, one, check_not_needed=self._check_not_needed)
        after = {key: self._register.held(*key) for key in before}
        own = (one.tenant_id, one.alias_key)
        self.outcome.effects.append(Effect(one, before[own], after[own]))
        if before != after:
            self._put_by[own] = one
            self._unwritten.update(after)
            self.outcome.touched.update(after)
            for key, held in before.items():
                self._stored.setdefault(key, held is not None)

    def _check_not_needed(self, one: Operation) -> None:
        if one.force or self._is_renewal(one):
            return
        self.write_down()
        successor = None if one.kind is Kind.DELETE else self._brought.by(one)
        if ending := uses.uncovered(self._transaction, one.tenant_id, one.alias_key, successor=successor):
            raise Conflict("certificate_in_use", _in_use(ending))

    def _is_renewal(self, one: Operation) -> bool:
        """Tell whether a certificate with all the old one's names takes the place of the one that is stored."""
        if one.kind is not Kind.REPLACE or (one.tenant_id, one.alias_key) in self._put_by:
            return False
        names = self._names[one.tenant_id].get(one.alias_key, set())
        return names <= self._brought.by(one).server_names

    def write_down(self) -> None:
        """Bring the stored certificates to where the decisions are."""
        put = [held for key in sorted(self._unwritten) if (held := self._register.held(*key)) is not None]
        by = [self._put_by[held.tenant_id, held.alias_key] for held in put]
        new = [_trusted(held, one, self._brought.by(one)) for held, one in zip(put, by, strict=True)]
        certificates.replace(self._transaction, [key for key in self._unwritten if self._stored[key]], new)
        self._stored.update({key: self._register.held(*key) is not None for key in self._unwritten})
        self._unwritten.clear()

    def look_for_keys(self) -> None:
        """Note who brought a key that another certificate has, as all of it stands now."""
        brought = defaultdict[int, dict[str, list[str]]](lambda: defaultdict(list))
        for (tenant_id, _), one in self._put_by.items():
            if one.kind is not Kind.DELETE:
                brought[tenant_id][self._brought.by(one).key.fingerprint_sha256].append(one.id)
        for tenant_id, ids in brought.items():
            for key in certificates.reused_keys(self._transaction, tenant_id, ids):
                self.outcome.key_reused.update(ids[key])


_NAMED = 5


def _in_use(ending: Sequence[Use]) -> str:
    names = sorted({f"{one.name} {one.version}" for one in ending})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"APIs need this certificate and no other covers them: {', '.join(names[:_NAMED])}{more}. "
        "Add another for them first, or ask again with force=true."
    )


def _trusted(held: Holding, put_by: Operation, brought: Certificate) -> TrustedCertificate:
    return TrustedCertificate(
        tenant_id=held.tenant_id,
        alias=held.alias,
        endpoint=held.endpoint,
        certificate=brought.der,
        fingerprint_sha256=brought.fingerprint_sha256,
        not_before=brought.not_before,
        not_after=brought.not_after,
        operation=put_by.id,
        rotates=held.rotates,
        server_names=brought.server_names,
        key_sha256=brought.key.fingerprint_sha256,
    )
