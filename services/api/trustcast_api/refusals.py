"""Refused attempts go into the audit chain, too: who was turned away, at which door, and why.

Nobody can fill the disk with them: of one principal, reason and door a few a minute are written down, then one line
says how many more there were. What nobody we know has sent goes to the log alone.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from trustcast.domain import private_key
from trustcast.domain.errors import RejectedMany, Unavailable
from trustcast.storage import audit
from trustcast.storage.audit import Actor, AuditEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fastapi import Request

    from trustcast.domain.errors import TrustcastError
    from trustcast.storage.session import Database
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal

log = structlog.get_logger("trustcast.api")

PER_WINDOW, WINDOW_SECONDS = 10, 60.0
_MEASURED = ("code", "method", "route")  # or ten harmless refusals would hide the one that matters
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_DECIDED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR})
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}")


def note_refusal(request: Request, error: TrustcastError, status: HTTPStatus) -> None:
    """Write down that `request` was answered with `status`, where that matters.

    It does whatever somebody may not do; and what somebody wanted to change and was refused, private keys above all.
    What does not exist, or cannot be decided now, was not refused. Whoever only asked what would come of something
    (`dry_run`) was refused nothing; that goes to the log alone.
    """
    who: Principal | None = getattr(request.state, "principal", None)
    if who is None:
        if status is HTTPStatus.UNAUTHORIZED:
            address = request.client.host if request.client else None
            log.info("unauthenticated", address=address, method=request.method, route=_route(request))
        return
    if getattr(request.state, "dry_run", False):
        log.info("dry_run_refused", code=error.code, actor=who.name)
        return
    if status is HTTPStatus.FORBIDDEN or (request.method not in _LOOKING and status not in _NOT_DECIDED):
        context: Context = request.app.state.context
        context.refusals.record(who.actor, _facts(request, error, status))


def _facts(request: Request, error: TrustcastError, status: HTTPStatus) -> dict[str, Any]:
    named = {
        name: value
        for name, value in request.path_params.items()
        if isinstance(value, str) and _PLAIN.fullmatch(value) and not private_key.found_in(value.encode())
    }
    facts = {"code": error.code, "status": int(status), "method": request.method, "route": _route(request)} | named
    if isinstance(error, RejectedMany):
        facts["codes"] = sorted({one.code for one in error.errors})
    return facts


def _route(request: Request) -> str | None:
    """Return the route's path as it is documented; what stands in its place in a request may be anything."""
    return getattr(request.scope.get("route"), "path", None)


@dataclass(slots=True)
class _Window:
    """What was refused to one principal for one reason at one door since the window opened."""

    actor: Actor
    of: dict[str, Any]
    until: float
    recorded: int = 0
    left_out: int = 0


class Refusals:
    """Writes refused attempts into the audit chain, each in a transaction of its own, in bounds for each process."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._now, self._seconds = database, now, seconds
        self._windows: dict[tuple[Any, ...], _Window] = {}
        self._counting = threading.Lock()
        self._timer: threading.Timer | None = None

    def record(self, actor: Actor, facts: dict[str, Any]) -> None:
        """Write an attempt down, or count it with those of the same `code`, `method` and `route` in `facts`.

        A database that is away is no new refusal.
        """
        with self._counting:
            events = self._ended(self._seconds())
            if self._counts(actor, {name: facts[name] for name in _MEASURED if name in facts}):
                events.append(AuditEvent("request.refused", actor, facts))
        self._append(events)

    def flush(self, *, all_of_them: bool = False) -> None:
        """Write down how many were left out, for the windows that have ended, or for all."""
        with self._counting:
            self._timer = None
            events = self._ended(float("inf") if all_of_them else self._seconds())
            if not all_of_them:
                self._wake_later()
        self._append(events)

    def stop(self) -> None:
        """End, and write down what was only counted."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
        self.flush(all_of_them=True)

    def _counts(self, actor: Actor, of: dict[str, Any]) -> bool:
        of_no_address = replace(actor, address=None)  # or each new address would open a window
        key = (of_no_address, *of.items())
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(of_no_address, of, self._seconds() + WINDOW_SECONDS)
        if window.recorded < PER_WINDOW:
            window.recorded += 1
            return True
        window.left_out += 1
        self._wake_later()
        return False

    def _ended(self, at: float) -> list[AuditEvent]:
        ended = [key for key, window in self._windows.items() if window.until <= at]
        windows = [self._windows.pop(key) for key in ended]
        return [
            AuditEvent("refusals.counted", one.actor, one.of | {"left_out": one.left_out})
            for one in windows
            if one.left_out
        ]

    def _wake_later(self) -> None:
        if self._timer is None and any(window.left_out for window in self._windows.values()):
            self._timer = threading.Timer(WINDOW_SECONDS, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def _append(self, events: list[AuditEvent]) -> None:
        if not events:
            return
        try:
            with self._database.writing() as transaction:
                audit.append(transaction, events, at=self._now())
                transaction.commit()
        except Unavailable as error:
            log.warning("refusals_not_recorded", code=error.code, events=len(events))
