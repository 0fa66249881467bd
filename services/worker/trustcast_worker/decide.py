"""Decide which requests take effect, in the order of acceptance, and write down what is trusted then."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Conflict
from trustcast.domain.register import Holding, Register
from trustcast.storage import blobs, certificates, tenants, uses
from trustcast.storage.certificates import TrustedCertificate
from trustcast.storage.operations import Kind, Operation

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

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
        one = self.operation
        also = [one.rotation] if one.kind is Kind.REPLACE and one.rotation else []
        return [(one.tenant_id, alias_key) for alias_key in (one.alias_key, *also)]


@dataclass(slots=True)
class Outcome:
    """What a batch comes to: requests that took effect, requests refused, and who holds the touched aliases now."""

    effects: list[Effect] = field(default_factory=list)
    refused: list[tuple[Operation, Conflict]] = field(default_factory=list)
    touched: dict[Key, Holding | None] = field(default_factory=dict)
    looked_again: bool = False  # whether it was decided anew where certificates go
    left_some: bool = False  # whether the batch left some out that waited, too

    @property
    def done(self) -> list[Operation]:
        """The requests that took effect."""
        return [one.operation for one in self.effects]

    def __bool__(self) -> bool:
        return bool(self.effects or self.refused or self.looked_again)


def decide(transaction: Connection, waiting: Sequence[Operation], *, per_endpoint: int | None) -> Outcome:
    """Decide about `waiting`; what is trusted then is written down, but in no truststore. The caller holds the fences.

    A request that the state forbids ends up among the refused and changes nothing.
    """
    batch = _Batch(transaction, _register(transaction, waiting, per_endpoint), _renewals(transaction, waiting))
    for one in waiting:
        try:
            batch.take(one)
        except Conflict as conflict:
            batch.outcome.refused.append((one, conflict))
    batch.write_down()
    return batch.outcome


def _register(transaction: Connection, waiting: Sequence[Operation], per_endpoint: int | None) -> Register:
    named = {key for one in waiting for key in (one.alias_key, one.rotation) if key}
    held = certificates.holdings(
        transaction,
        tenants=[one.tenant_id for one in waiting],
        alias_keys=named | {aliases.following(key) for key in named if len(key) <= aliases.LONGEST_ROTATED},
        endpoints=[one.endpoint for one in waiting if one.endpoint],
        fingerprints=[one.fingerprint_sha256 for one in waiting if one.fingerprint_sha256],
    )
    like_anothers = any(aliases.tenant_named_by(key) is not None for key in named)
    return Register(held, per_endpoint=per_endpoint, tenants=tenants.ids(transaction) if like_anothers else ())


def _renewals(transaction: Connection, waiting: Sequence[Operation]) -> set[str]:
    """Return the operations that put a certificate with all the old one's names in its place.

    Most replacements are such, and need no look at who uses what; one by one a batch takes 20 times as long.
    """
    asked = [one for one in waiting if one.kind is Kind.REPLACE and not one.force]
    ders = blobs.read(transaction, [one.certificate for one in asked if one.certificate])
    alias_keys = defaultdict[int, set[str]](set)
    for one in asked:
        alias_keys[one.tenant_id].add(one.alias_key)
    names = {tenant: certificates.server_names(transaction, tenant, keys) for tenant, keys in alias_keys.items()}
    return {
        one.id
        for one in asked
        if names[one.tenant_id].get(one.alias_key, set()) <= Certificate.parse(ders[one.certificate or ""]).server_names
    }


class _Batch:
    """Requests as they are decided. What is trusted is written down before somebody has to look at it."""

    def __init__(self, transaction: Connection, register: Register, renewals: Collection[str]) -> None:
        self.outcome = Outcome()
        self._renewals = renewals
        self._transaction = transaction
        self._register = register
        self._put_by: dict[Key, Operation] = {}
        self._unwritten: set[Key] = set()

    def take(self, one: Operation) -> None:
        """Let one request take effect. Raises `Conflict`, and nothing has changed."""
        key = (one.tenant_id, one.alias_key)
        before = self._register.held(*key)
        self._change(one)
        effect = Effect(one, before, self._register.held(*key))
        self.outcome.effects.append(effect)
        if effect.before != effect.after:
            self._put_by[key] = one
            self._unwritten.update(effect.keys)
            self.outcome.touched.update({each: self._register.held(*each) for each in effect.keys})

    def _change(self, one: Operation) -> None:
        key = (one.tenant_id, one.alias_key)
        new = Holding(*key, one.endpoint or "", one.fingerprint_sha256 or "", alias=one.alias)
        match one.kind, one.rotation:
            case Kind.ADD, rotates:
                self._register.add(replace(new, rotates=rotates))
            case Kind.REPLACE, None:
                self._register.replaceable(new, if_match=one.if_match)
                self._check_not_needed(one)
                self._register.replace(new, if_match=one.if_match)
            case Kind.REPLACE, str(successor):
                self._register.finishable(new, successor=successor)
                self._check_not_needed(one)
                self._register.finish(new, successor=successor)
            case Kind.DELETE, None:
                self._register.changeable(*key, if_match=one.if_match)
                self._check_not_needed(one)
                self._register.delete(*key)
            case Kind.DELETE, str(rotates):
                self._register.cancel(*key, rotates=rotates)

    def _check_not_needed(self, one: Operation) -> None:
        untouched = (one.tenant_id, one.alias_key) not in self._put_by
        if one.force or (one.id in self._renewals and untouched):
            return
        self.write_down()
        if ending := uses.uncovered(self._transaction, one.tenant_id, one.alias_key, successor=self._successor(one)):
            raise Conflict("certificate_in_use", _in_use(ending))

    def _successor(self, one: Operation) -> Certificate | None:
        """Return the certificate that takes the place of the one with the operation's alias."""
        if one.certificate is None:
            return None
        return Certificate.parse(blobs.read(self._transaction, [one.certificate])[one.certificate])

    def write_down(self) -> None:
        """Bring the stored certificates to where the decisions are."""
        put = [held for key in sorted(self._unwritten) if (held := self._register.held(*key)) is not None]
        by = [self._put_by[held.tenant_id, held.alias_key] for held in put]
        ders = blobs.read(self._transaction, [one.certificate for one in by if one.certificate])
        new = [_trusted(held, one, ders[held.fingerprint_sha256]) for held, one in zip(put, by, strict=True)]
        certificates.replace(self._transaction, self._unwritten, new)
        self._unwritten.clear()


_NAMED = 5


def _in_use(ending: Sequence[Use]) -> str:
    names = sorted({f"{one.name} {one.version}" for one in ending})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"APIs need this certificate and no other covers them: {', '.join(names[:_NAMED])}{more}. "
        "Add another for them first, or ask again with force=true."
    )


def _trusted(held: Holding, put_by: Operation, der: bytes) -> TrustedCertificate:
    parsed = Certificate.parse(der)
    return TrustedCertificate(
        tenant_id=held.tenant_id,
        alias=held.alias,
        endpoint=held.endpoint,
        certificate=der,
        fingerprint_sha256=parsed.fingerprint_sha256,
        not_before=parsed.not_before,
        not_after=parsed.not_after,
        operation=put_by.id,
        rotates=held.rotates,
        server_names=parsed.server_names,
        key_sha256=parsed.key.fingerprint_sha256,
    )
