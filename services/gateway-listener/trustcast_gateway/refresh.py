"""Ask for changes, verify, keep, install, report: what start-up, every hint and every tick do.

What cannot be verified changes nothing: the last good files stay, and the api is told why.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from trustcast.domain.errors import TrustcastError, Unavailable, Untrusted
from trustcast.domain.head import accept, opened
from trustcast.domain.truststore import ChangeSet, Truststore
from trustcast.keystore import jks
from trustcast_gateway.distribution import MAX_DETAIL, ApiUnavailable, Put, Remove, Report
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs.jks import JksOutput
from trustcast_gateway.trusted_state import Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from trustcast_gateway.distribution import Distribution
    from trustcast_gateway.reports import Reports
    from trustcast_gateway.trusted_state import TrustedState

log = structlog.get_logger("trustcast.gateway")
_WORTH_ASKING_FOR_ALL = {"entries_mismatch", "entries_malformed"}


@dataclass(slots=True)
class Node:
    """One gateway node: where it asks, what it believes, what it holds and where it writes.

    `keys` are the pinned head keys by key id; `clock` gives an aware time. `managed` is what is held, ready for the
    truststore; `standing` is what the last completed install read back from disk; `removed` is what
    went since then (alias -> fingerprint).
    """

    environment: str
    home: Path
    keys: Mapping[str, Ed25519PublicKey]
    api: Distribution
    reports: Reports
    state: TrustedState
    clock: Callable[[], datetime]
    password: str | None = field(default=None, repr=False)
    output: JksOutput = field(default_factory=JksOutput)
    managed: dict[str, jks.RawEntry] = field(init=False, repr=False)
    standing: Report = field(init=False)
    removed: dict[str, str] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.managed = _entries(self.state.certificates()) if self.state.generation else {}
        # What an earlier run installed is not known until it has been read back.
        digest = None if self.state.generation else Truststore().digest()
        self.standing = Report(self.environment, 0, digest, "installed")


def complete(node: Node) -> None:
    """Install what an earlier run verified and perhaps did not finish; needs no network. Raises `TrustcastError`."""
    with _told(node):
        _install(node)


def refresh(node: Node) -> int:
    """Bring the gateway's files to what the api states and can prove; return the generation that it states.

    Raises `Untrusted`, `Unavailable` or `Conflict("foreign_alias")`; the last good files then stay.
    """
    with _told(node):
        try:
            return _learn(node)
        finally:
            _install(node)  # without news as well: somebody may have changed the files
            if not isinstance(sys.exception(), Untrusted):  # what is refused leaves no trace on the files
                node.output.settle()


@contextmanager
def _told(node: Node) -> Iterator[None]:
    """Log and report what came of the block."""
    before, started = node.standing.generation, time.perf_counter()
    try:
        yield
    except ApiUnavailable:
        raise
    except TrustcastError as error:
        node.reports.tell(replace(node.standing, phase="failed", code=error.code, detail=error.detail[:MAX_DETAIL]))
        raise
    node.reports.tell(node.standing)
    if node.standing.generation != before:
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        log.info("installed", generation=node.standing.generation, entries=len(node.managed), milliseconds=milliseconds)


def _learn(node: Node) -> int:
    """Take over what is new and proven, and write it down before anything is installed."""
    news = _proven(node)
    if news is None:
        return 0
    if news.head.generation == node.state.generation:
        _keep_fresh(node.state, news)
        return news.head.generation
    held = node.state.truststore.entries
    node.removed |= {alias: held[alias] for alias in held.keys() - news.truststore.entries.keys()}
    node.state.keep(news)
    if news.after == 0:
        node.managed.clear()
    for alias in news.remove:
        node.managed.pop(alias, None)
    node.managed.update(_entries(news.put.items()))
    return news.head.generation


def _keep_fresh(state: TrustedState, news: Verified) -> None:
    """The same generation signed anew: only its time is news."""
    if state.last is None or news.head.issued_at > state.last.issued_at:
        state.remember(news.head, news.envelope)


def _proven(node: Node) -> Verified | None:
    """Ask for what is new; where the answer does not fit what is held, ask once for everything."""
    try:
        return _verified(node, node.state.generation)
    except Untrusted as error:
        if error.code not in _WORTH_ASKING_FOR_ALL or node.state.generation == 0:
            raise
        log.warning("asking_for_all", code=error.code, detail=error.detail, held=node.state.generation)
        return _verified(node, 0)


def _verified(node: Node, after: int) -> Verified | None:
    answer = node.api.changes(after)
    last = node.state.last
    if answer.head is None:
        if last is not None:
            raise Untrusted(
                "head_rollback", f"The api states no generation, but {last.generation} was verified before."
            )
        return None
    envelope = answer.envelope()
    head = opened(envelope, node.keys)
    accept(head, environment=node.environment, at=node.clock(), last=last)
    put = {change.alias: change.certificate for change in answer.changes if isinstance(change, Put)}
    remove = frozenset(change.alias for change in answer.changes if isinstance(change, Remove))
    fingerprints = {alias: hashlib.sha256(der).hexdigest() for alias, der in put.items()}
    if after == 0:
        truststore = Truststore(fingerprints)
    else:
        truststore = node.state.truststore.apply(ChangeSet(fingerprints, remove))
    if answer.after != after or (len(truststore), truststore.digest()) != (head.entries, head.entries_sha256):
        raise Untrusted("entries_mismatch", f"The changes after {after} do not lead to what the head states.")
    return Verified(head, envelope, after, put, remove, truststore)


def _install(node: Node) -> None:
    """Install what is held and read it back; before the first verified head nothing is touched, only looked at."""
    home = GatewayHome.read(node.home, node.password)
    if node.state.generation == 0:
        node.output.look(home)
        return
    held = node.state.truststore
    read = node.output.install(home, node.managed)
    if any(read.get(alias) != fingerprint for alias, fingerprint in held.entries.items()):
        raise Unavailable("read_back_mismatch", "The second reader does not find in the truststore what was written.")
    _say_what_stayed(node, read)
    node.standing = replace(node.standing, generation=node.state.generation, entries_sha256=held.digest())


def _say_what_stayed(node: Node, read: Mapping[str, str]) -> None:
    """Warn of a removed alias that a foreign entry with the same certificate keeps trusted on this node."""
    for alias, fingerprint in sorted(node.removed.items()):
        if alias not in node.managed and read.get(alias) == fingerprint:
            log.warning("still_trusted", alias=alias, why="the gateway's truststore has an entry of its own for it")
    node.removed.clear()


def _entries(certificates: Iterable[tuple[str, bytes]]) -> dict[str, jks.RawEntry]:
    return {alias: jks.trusted_entry(alias, der) for alias, der in certificates}
