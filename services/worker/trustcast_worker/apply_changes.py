"""Fold everything that waits into one new generation of each environment's truststore that it changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain.messages import TruststoreChanged
from trustcast.domain.operation import Kind, State
from trustcast.domain.policy import KEY_REUSED
from trustcast.domain.truststore import ChangeSet
from trustcast.storage import arrivals, audit, closing, gateways, in_turn, outbox, routing, truststores, unended
from trustcast.storage.operations import Operation
from trustcast_worker.decide import Outcome, decide
from trustcast_worker.sign_heads import sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trustcast.domain.head import HeadSigner
    from trustcast.domain.policy import Policy
    from trustcast.domain.register import Holding
    from trustcast.domain.truststore import Truststore
    from trustcast.storage.routing import Due, Placed
    from trustcast.storage.session import Database
    from trustcast_worker.decide import Effect, Key
    from trustcast_worker.truststore_cache import TruststoreCache

BATCH = 1000  # what the gateways fetch and install at once; all others wait for a tenth of a second to write
# While more uploads are being validated, what is ready waits for them this long: a burst becomes few generations.
PATIENCE = timedelta(milliseconds=100)
_NO_ENVIRONMENT, _KEY_REUSED = asdict(routing.NO_ENVIRONMENT), asdict(KEY_REUSED)

Routes = dict[tuple[int, str, str], set[str]]  # (tenant, alias key, endpoint) -> environments


class LostRaceError(Exception):
    """Another worker advanced a truststore first; whatever waits is looked at again."""


@dataclass(frozen=True, slots=True)
class _Step:
    """An environment before and after: the same generation where nothing changes."""

    environment: str
    generation: int
    before: Truststore
    after: Truststore

    @property
    def moved(self) -> bool:
        return self.after is not self.before


def apply_changes(
    database: Database, *, signer: HeadSigner, cache: TruststoreCache, policy: Policy, at: datetime
) -> Outcome:
    """Apply what was validated, up to a batch, and decide anew where it is due, in one commit; return what it came to.

    `policy` holds for tenants that have none of their own.

    State, change log, signed heads and the hint that is owed stand or fall together. Raises `Unavailable`, and
    `LostRaceError` when another worker's commit came first, in which case nothing was changed.
    """
    with database.writing() as transaction:
        # Looked at before the fences are taken: a new environment that these rows tell of is then among those held.
        due = routing.due(transaction, limit=BATCH)
        # From here on nobody else decides; taken before any row of an operation, so that no two wait for each other.
        held = truststores.hold_all(transaction)
        waiting = in_turn.validated(transaction, limit=BATCH, at=at)
        if waiting and waiting[0].attempts:  # a suspect comes alone
            due = []
        if not due and (not waiting or _more_are_coming(transaction, waiting[0], at)):
            return Outcome()
        outcome = decide(transaction, waiting, policy=policy, at=at)
        outcome.left_some = BATCH in {len(waiting), len(due)} or bool(waiting and waiting[0].attempts)
        outcome.looked_again = bool(due)
        steps = _advance(transaction, held, outcome, due, signer=signer, cache=cache, at=at)
        audit.append(transaction, _audited(outcome, steps), at=at)
        _refuse(transaction, outcome)
        transaction.commit()
    for step in steps:
        cache.advanced(step.environment, step.generation, step.after)
    return outcome


def blame(database: Database, *, at: datetime) -> None:
    """Count a failed attempt against what would be applied next, so that no request can stop the others for ever."""
    with database.writing() as transaction:
        unended.blame(transaction, [one.id for one in in_turn.validated(transaction, limit=BATCH, at=at)])
        transaction.commit()


def _more_are_coming(transaction: Connection, oldest: Operation, at: datetime) -> bool:
    """Tell whether to wait for what is being validated. Its verdict wakes us again; the sweep, should that get lost."""
    ready_since = oldest.validated_at or oldest.accepted_at
    return at - ready_since < PATIENCE and unended.any_due(transaction, State.RECEIVED, at=at)


def _advance(
    transaction: Connection,
    environments: Sequence[str],
    outcome: Outcome,
    due: Sequence[Due],
    *,
    signer: HeadSigner,
    cache: TruststoreCache,
    at: datetime,
) -> list[_Step]:
    """Bring each environment to what is trusted now, and write down in which generation the requests have arrived."""
    if not outcome.effects and not due:
        return []
    concerned: dict[Key, Holding | None] = {
        (one.tenant_id, one.alias_key): one for one in routing.concerned(transaction, due)
    }
    concerned.update(outcome.touched)
    routes = _routes(transaction, concerned.values(), outcome.effects)
    wanted = {aliases.on_gateways(key, tenant): holding for (tenant, key), holding in concerned.items()}
    steps = [_step(transaction, name, wanted, routes, signer=signer, cache=cache, at=at) for name in environments]
    _arrive(transaction, outcome, steps, routes, at=at)
    routing.strike_off(transaction, due)
    return steps


def _routes(transaction: Connection, holdings: Iterable[Holding | None], effects: Iterable[Effect]) -> Routes:
    places: dict[int, set[Placed]] = defaultdict(set)
    for holding in holdings:
        if holding is not None:
            places[holding.tenant_id].add((holding.alias_key, holding.endpoint))
    for effect in effects:
        places[effect.operation.tenant_id].add((effect.operation.alias_key, effect.endpoint))
    return {
        (tenant_id, *place): environments
        for tenant_id, of_tenant in places.items()
        for place, environments in routing.environments_of(transaction, tenant_id, of_tenant).items()
    }


def _step(
    transaction: Connection,
    environment: str,
    wanted: Mapping[str, Holding | None],
    routes: Routes,
    *,
    signer: HeadSigner,
    cache: TruststoreCache,
    at: datetime,
) -> _Step:
    generation, content = cache.current(transaction, environment)
    here = {
        alias: holding.fingerprint_sha256
        for alias, holding in wanted.items()
        if holding is not None and environment in routes[holding.tenant_id, holding.alias_key, holding.endpoint]
    }
    changes = _changes(content, here, wanted)
    if not changes:
        return _Step(environment, generation, content, content)
    after = content.apply(changes)
    digest = after.digest()
    if not truststores.advance(transaction, environment, expected=generation, content=after, digest=digest):
        raise LostRaceError
    generation += 1
    truststores.log(transaction, environment, generation, changes, before=content)
    sign(transaction, environment, signer=signer, generation=generation, entries=len(after), digest=digest, at=at)
    outbox.add(transaction, TruststoreChanged(environment, generation), source="worker", at=at)
    return _Step(environment, generation, content, after)


def _changes(content: Truststore, here: Mapping[str, str], wanted: Iterable[str]) -> ChangeSet:
    """Return the net change: what came and went within the batch leaves no trace."""
    return ChangeSet(
        put={alias: sha256 for alias, sha256 in here.items() if content.entries.get(alias) != sha256},
        remove=frozenset(alias for alias in wanted if alias not in here and alias in content.entries),
    )


def _arrive(transaction: Connection, outcome: Outcome, steps: Sequence[_Step], routes: Routes, *, at: datetime) -> None:
    if not outcome.effects:
        return
    done, warnings = {}, {}
    for effect in outcome.effects:
        one = effect.operation
        routed = routes[one.tenant_id, one.alias_key, effect.endpoint]
        names = [aliases.on_gateways(key, tenant) for tenant, key in effect.keys]
        done[one.id] = {
            step.environment: step.generation
            for step in steps
            if step.environment in routed or any(name in step.before.entries for name in names)
        }
        new = [_NO_ENVIRONMENT] if one.kind is not Kind.DELETE and not routed else []
        new += [_KEY_REUSED] if one.id in outcome.key_reused else []
        if new:
            warnings[one.id] = [*one.warnings, *new]
    arrivals.applied(transaction, done, warnings=warnings, at=at)
    # What did not move may be reported just now, and the last gateway of what did may retire: either has to see these
    # operations, or we it.
    gateways.take_turns(transaction)
    # Where an environment has no gateways, or they have the generation already, nobody will ever report.
    if everywhere := _everywhere(transaction, done):
        arrivals.converge(transaction, everywhere, at=at)


def _everywhere(transaction: Connection, done: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the operations that all gateways have: most often none, and then there is none to look at."""
    names = {environment for reached in done.values() for environment in reached}
    floors = {name: gateways.floor(transaction, name) for name in sorted(names)}
    return [
        id_
        for id_, reached in done.items()
        if all((floor := floors[name]) is None or floor >= generation for name, generation in reached.items())
    ]


def _refuse(transaction: Connection, outcome: Outcome) -> None:
    closing.reject(transaction, outcome.refused)
    closing.forget_bytes(transaction, [one for one, _ in outcome.refused])


def _audited(outcome: Outcome, steps: Sequence[_Step]) -> list[audit.AuditEvent]:
    events = [
        audit.AuditEvent("operation.rejected", _worker(one), one.named() | {"code": refusal.code})
        for one, refusal in outcome.refused
    ]
    events += [audit.AuditEvent("operation.applied", _worker(one.operation), _facts(one)) for one in outcome.effects]
    moved = {step.environment: step.generation for step in steps if step.moved}
    if outcome.looked_again and moved:
        events.append(audit.AuditEvent("routing.applied", audit.Actor("worker", None), {"generations": moved}))
    return events


def _facts(effect: Effect) -> dict[str, object]:
    one, before, after = effect.operation, effect.before, effect.after
    return {
        "operation": one.id,
        "alias": one.alias,
        "kind": one.kind,
        "sha256": after.fingerprint_sha256 if after else None,
        "before_sha256": before.fingerprint_sha256 if before else None,
    }


def _worker(one: Operation) -> audit.Actor:
    return audit.Actor("worker", one.tenant_id)
