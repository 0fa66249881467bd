"""`python -m trustcast_gateway`: the listener beside one gateway node, until SIGTERM."""

from __future__ import annotations

import contextvars
import os
import random
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from trustcast import log as logs
from trustcast import settings
from trustcast.domain.errors import TrustcastError
from trustcast_gateway import distribution, hints, trusted_state
from trustcast_gateway.distribution import ApiUnavailable
from trustcast_gateway.follow import Wake, follow
from trustcast_gateway.refresh import Node, complete, refresh
from trustcast_gateway.reports import Reports
from trustcast_gateway.settings import Settings
from trustcast_gateway.trusted_state import StateUnreadable, TrustedState

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
# What is cut off then is finished at the next start, as after a power cut.
_LAST_STEP_SECONDS = 1.5
log = structlog.get_logger("trustcast.gateway")


def main() -> None:
    """Read the settings, wire, follow. A wrong setting is one sentence and exit status 1."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # before any thread: they are awaited, not handled
    logs.configure("gateway-listener")
    wake = Wake()
    with ExitStack() as closing:
        try:
            loaded = settings.load(Settings)
            node = _wired(loaded, closing)
            ears = _ears(loaded, wake)
        except (settings.SettingsError, TrustcastError) as error:
            sys.exit(str(error))
        sys.exit(_run(node, loaded, wake, ears))


def _wired(loaded: Settings, closing: ExitStack) -> Node:
    client = closing.enter_context(distribution.connect(loaded.api_url, token=loaded.token()))
    api = distribution.Distribution(client, gateway=loaded.gateway_name, environment=loaded.gateway_environment)
    heartbeat = loaded.gateway_reconcile_seconds / 2
    return Node(
        environment=loaded.gateway_environment,
        home=loaded.gateway_home,
        password=loaded.truststore_password(),
        keys=loaded.head_keys(),
        api=api,
        reports=Reports(api, heartbeat_seconds=heartbeat, monotonic=time.monotonic),
        state=_state(loaded),
        clock=lambda: datetime.now(UTC),
    )


def _ears(loaded: Settings, wake: Wake) -> hints.Hints | None:
    """Hints are a comfort: without a Redis the tick finds every change, only later."""
    url = loaded.redis()
    return None if url is None else hints.Hints(hints.connect(url), loaded.gateway_environment, wake.hint)


def _state(loaded: Settings) -> TrustedState:
    folder, environment = loaded.gateway_state_dir, loaded.gateway_environment
    try:
        return TrustedState.open(folder, environment)
    except StateUnreadable as error:
        kept = trusted_state.set_aside(folder, datetime.now(UTC))
        lost = "the generation floor: the next head is believed even if it is an older one"
        log.critical("state_unreadable", reason=str(error), kept=str(kept), lost=lost)
        return TrustedState.open(folder, environment)


def _run(node: Node, loaded: Settings, wake: Wake, ears: hints.Hints | None) -> int:
    """Follow in one thread and hear hints in another; wait for a signal here. Returns the exit status."""
    stop, crashed = threading.Event(), threading.Event()

    def following() -> None:
        try:
            _follow(node, loaded, wake, stop)
        except BaseException:
            crashed.set()
            log.exception("listener_crashed")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    follower = _thread("follow", following)
    if ears is not None:
        _thread("hints", lambda: ears.listen(stop))
    signal.sigwait(STOP_SIGNALS)
    stop.set()
    wake.hint()
    follower.join(_LAST_STEP_SECONDS)
    return 1 if crashed.is_set() else 0


def _follow(node: Node, loaded: Settings, wake: Wake, stop: threading.Event) -> None:
    try:
        complete(node)
    except TrustcastError as error:
        log.warning("files_not_completed", code=error.code, detail=error.detail)

    def once() -> int:
        try:
            return refresh(node)
        finally:
            # A listener that says what is wrong with its gateway is well; to restart it would mend nothing.
            if loaded.health_file is not None and not isinstance(sys.exception(), ApiUnavailable):
                loaded.health_file.touch()

    follow(
        once,
        wake,
        stop,
        tick_seconds=loaded.gateway_reconcile_seconds,
        uniform=random.uniform,
        unsettled=lambda: node.output.unsettled,
    )


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread whose log lines name the service, too."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    main()
