"""Hints from Redis: a message on `trustcast:changes:{environment}` says "look again", nothing else is believed of it.

Pub/Sub loses what is sent while nobody listens. Therefore every connection, the first and each after a loss, counts as
a hint too.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from trustcast.domain.errors import Rejected, Unavailable
from trustcast.domain.messages import TruststoreChanged, decode
from trustcast_gateway.backoff import delays

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from redis.client import PubSub

# Blocking reads end before redis-py's socket_timeout (5 s since version 8) and soon after a stop.
_WAIT_SECONDS = 1.0
PING_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
log = structlog.get_logger("trustcast.gateway")


def connect(url: str) -> redis.Redis:
    """Return a client that needs no more rights than to subscribe and to ping (RESP 2, no CLIENT commands).

    Raises `Unavailable("redis_url_unusable")`; the URL, which may hold a password, is not repeated.
    """
    options = {"socket_connect_timeout": 3.0, "socket_timeout": 5.0, "retry": Retry(NoBackoff(), 0)}
    try:
        return redis.Redis.from_url(url, protocol=2, driver_info=None, **options)
    except ValueError:
        detail = "TRUSTCAST_REDIS_URL is no URL of a Redis: redis://…, rediss://… or unix://…."
        raise Unavailable("redis_url_unusable", detail) from None


class Hints:
    """Calls `hear` for every hint: with the generation that it claims, or with None where it claims nothing.

    Redis may be away for any time. That is said once when it goes and once when it is back.
    """

    def __init__(
        self,
        client: redis.Redis,
        environment: str,
        hear: Callable[[int | None], None],
        *,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._client = client
        self._environment = environment
        self._hear = hear
        self._ping_seconds = ping_seconds
        self._said: str | None = None
        self._pauses = self._fresh_pauses()

    def listen(self, stop: threading.Event) -> None:
        """Listen until `stop`, at most a second longer."""
        while not stop.is_set():
            try:
                with self._client.pubsub() as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(f"trustcast:changes:{self._environment}")
                    self._follow(subscription, stop)
            except redis.RedisError as error:
                self._say("redis_unreachable", reason=f"{type(error).__name__}: {error}", next="ticks go on")
                stop.wait(next(self._pauses))

    def _follow(self, subscription: PubSub, stop: threading.Event) -> None:
        asked = answered = time.monotonic()
        while not stop.is_set():
            message = subscription.get_message(timeout=_WAIT_SECONDS)
            now = time.monotonic()
            if message is not None:
                answered = now
                self._take(message)
            if now - answered > 2 * self._ping_seconds + _WAIT_SECONDS:
                raise redis.ConnectionError("no answer to pings")
            if now - asked > self._ping_seconds:
                asked = now
                subscription.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._pauses = self._fresh_pauses()
            self._say("hints_connected")
            self._hear(None)
        elif message["type"] == "message":
            self._hear(self._claimed(message["data"]))

    def _claimed(self, data: bytes) -> int | None:
        try:
            event = decode(data)
        except Rejected as error:
            self._say(error.code)
            return None
        self._said = None
        return event.generation if isinstance(event, TruststoreChanged) else None

    def _say(self, what: str, **facts: str) -> None:
        """Log a state when it begins, not each time that it is met."""
        if what != self._said:
            log.info(what, **facts)
        self._said = what

    def _fresh_pauses(self) -> Iterator[float]:
        return delays(first=_FIRST_PAUSE, most=_LONGEST_PAUSE, uniform=random.uniform)
