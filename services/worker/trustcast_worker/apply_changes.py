"""Fold everything that waits into one new generation of each environment's truststore."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Conflict
from trustcast.domain.messages import TruststoreChanged
from trustcast.domain.register import Holding, Register
from trustcast.domain.truststore import ChangeSet
from trustcast.storage import audit, blobs, certificates, operations, outbox, truststores
from trustcast.storage.certificates import TrustedCertificate
from trustcast.storage.operations import Kind, Operation, State
from trustcast_worker.sign_heads import sign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.head import HeadSigner
    from trustcast.domain.truststore import Truststore
    from trustcast.storage.session import Database
    from trustcast_worker.truststore_cache import TruststoreCache

BATCH = 500
# While more uploads are being validated, what is ready waits for them this long: a burst becomes few generations.
PATIENCE = timedelta(milliseconds=100)


class LostRaceError(Exception):
    """Another worker advanced a truststore first; whatever waits is looked at again."""


@dataclass(slots=True)
class Outcome:
    """What a batch comes to: requests that take effect, requests refused, certificates come and gone."""

    done: list[Operation] = field(default_factory=list)
    refused: list[tuple[Operation, Conflict]] = field(default_factory=list)
    # (tenant, alias key) -> the operation that put it last, None for one that is gone
    touched: dict[tuple[int, str], Operation | None] = field(default_factory=dict)
    left_some: bool = False  # whether the batch left some out that waited, too

    def __bool__(self) -> bool:
        return bool(self.done or self.refused)

    def put(self) -> list[Operation]:
        """Return the operations whose certificates are there at the end."""
        return [operation for operation in self.touched.values() if operation is not None]


def apply_changes(
    database: Database, *, signer: HeadSigner, cache: TruststoreCache, per_endpoint: int | None, at: datetime
) -> Outcome:
    """Apply what was validated, up to a batch, in one commit; return what it came to.

    State, change log, signed heads and the hint that is owed stand or fall together. Raises `Unavailable`, and
    `LostRaceError` when another worker's commit came first, in which case nothing was changed.
    """
    advanced: dict[str, tuple[int, Truststore]] = {}
    with database.writing() as transaction:
        # From here on nobody else decides; taken before any row of an operation, so that no two wait for each other.
        truststores.hold_all(transaction)
        waiting = operations.validated(transaction, limit=BATCH)
        if not waiting or _more_are_coming(transaction, waiting[0], at):
            return Outcome()
        outcome = _decide(waiting, _register(transaction, waiting, per_endpoint))
        outcome.left_some = len(waiting) == BATCH or bool(waiting[0].attempts)  # a suspect comes alone
        if outcome.done:
            for environment in truststores.environments(transaction):
                advanced[environment] = _advance(transaction, environment, outcome, signer=signer, cache=cache, at=at)
            _write_down(transaction, outcome, {name: number for name, (number, _) in advanced.items()}, at=at)
        audit.append(transaction, _audited(outcome), at=at)
        _refuse(transaction, outcome.refused)
        transaction.commit()
    for environment, (generation, content) in advanced.items():
        cache.advanced(environment, generation, content)
    return outcome


def blame(database: Database) -> None:
    """Count a failed attempt against what would be applied next, so that no request can stop the others for ever."""
    with database.writing() as transaction:
        operations.blame(transaction, [one.id for one in operations.validated(transaction, limit=BATCH)])
        transaction.commit()


def _more_are_coming(transaction: Connection, oldest: Operation, at: datetime) -> bool:
    """Tell whether to wait for what is being validated. Its verdict wakes us again; the sweep, should that get lost."""
    ready_since = oldest.validated_at or oldest.accepted_at
    return at - ready_since < PATIENCE and operations.any_in(transaction, State.RECEIVED)


def _register(transaction: Connection, waiting: Sequence[Operation], per_endpoint: int | None) -> Register:
    held = certificates.holdings(
        transaction,
        tenants=[one.tenant_id for one in waiting],
        alias_keys=[one.alias_key for one in waiting],
        endpoints=[one.endpoint for one in waiting if one.endpoint],
        fingerprints=[one.fingerprint_sha256 for one in waiting if one.fingerprint_sha256],
    )
    return Register(held, per_endpoint=per_endpoint)


def _decide(waiting: Sequence[Operation], register: Register) -> Outcome:
    outcome = Outcome()
    for one in waiting:
        key = (one.tenant_id, one.alias_key)
        try:
            if one.kind is Kind.DELETE:
                register.delete(*key)
                outcome.touched[key] = None
            else:
                register.add(Holding(*key, one.endpoint or "", one.fingerprint_sha256 or ""))
                outcome.touched[key] = one
        except Conflict as conflict:
            outcome.refused.append((one, conflict))
        else:
            outcome.done.append(one)
    return outcome


def _refuse(transaction: Connection, refused: Sequence[tuple[Operation, Conflict]]) -> None:
    for one, conflict in refused:
        operations.end(transaction, one, State.REJECTED, operations.problem(conflict))
    blobs.forget_unused(transaction, [one.certificate for one, _ in refused if one.certificate])


def _advance(
    transaction: Connection,
    environment: str,
    outcome: Outcome,
    *,
    signer: HeadSigner,
    cache: TruststoreCache,
    at: datetime,
) -> tuple[int, Truststore]:
    generation, content = cache.current(transaction, environment)
    changes = _changes(outcome, content)
    content = content.apply(changes)
    digest = content.digest()
    if not truststores.advance(transaction, environment, expected=generation, content=content, digest=digest):
        raise LostRaceError
    generation += 1
    truststores.log(transaction, environment, generation, changes)
    sign(transaction, environment, signer=signer, generation=generation, entries=len(content), digest=digest, at=at)
    outbox.add(transaction, TruststoreChanged(environment, generation), source="worker", at=at)
    return generation, content


def _changes(outcome: Outcome, content: Truststore) -> ChangeSet:
    """Return the net change: what came and went within the batch leaves no trace."""
    ends = {alias: operation for (_, alias), operation in outcome.touched.items()}
    return ChangeSet(
        put={
            alias: operation.fingerprint_sha256 or ""
            for alias, operation in ends.items()
            if operation is not None and content.entries.get(alias) != operation.fingerprint_sha256
        },
        remove=frozenset(alias for alias, operation in ends.items() if operation is None and alias in content.entries),
    )


def _write_down(transaction: Connection, outcome: Outcome, generation_of: dict[str, int], *, at: datetime) -> None:
    put = outcome.put()
    ders = blobs.read(transaction, [one.certificate for one in put if one.certificate])
    certificates.replace(transaction, outcome.touched, [_trusted(one, ders[one.certificate or ""]) for one in put])
    operations.applied(transaction, outcome.done, generation_of, at=at)
    # Where an environment has no gateways, nobody will ever report.
    operations.converge(transaction, [one.id for one in outcome.done], at=at)


def _audited(outcome: Outcome) -> list[audit.AuditEvent]:
    events = [
        audit.AuditEvent("operation.rejected", _worker(one), {"operation": one.id, "code": conflict.code})
        for one, conflict in outcome.refused
    ]
    for one in outcome.done:
        facts = {"operation": one.id, "alias": one.alias, "kind": one.kind, "sha256": one.fingerprint_sha256}
        events.append(audit.AuditEvent("operation.applied", _worker(one), facts))
    return events


def _worker(one: Operation) -> audit.Actor:
    return audit.Actor("worker", one.tenant_id)


def _trusted(operation: Operation, der: bytes) -> TrustedCertificate:
    parsed = Certificate.parse(der)
    return TrustedCertificate(
        tenant_id=operation.tenant_id,
        alias=operation.alias,
        endpoint=operation.endpoint or "",
        certificate=der,
        fingerprint_sha256=parsed.fingerprint_sha256,
        not_before=parsed.not_before,
        not_after=parsed.not_after,
        operation=operation.id,
    )
