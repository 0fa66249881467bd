"""Celery sends and Redis hints behind one small door; nothing else of ours talks to either.

Celery on Redis can lose a task (a worker killed between BRPOP and the note that the message is unacknowledged), so a
task here is only a wake-up: the database row is the job. The settings below are explained line by line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection, Queue, pools
from kombu.exceptions import OperationalError

from trustcast.domain.errors import Unavailable
from trustcast.domain.messages import CertificateExpiring, OperationAccepted, OperationValidated, TruststoreChanged

if TYPE_CHECKING:
    from trustcast.domain.messages import Message

VALIDATE_UPLOADS = "trustcast.validate_uploads"
APPLY_CHANGES = "trustcast.apply_changes"
SIGN_HEADS = "trustcast.sign_heads"
SWEEP = "trustcast.sweep"
ANNOUNCE_EXPIRY = "trustcast.announce_expiry"

CERTIFICATES = "trustcast:certificates"  # the Redis channel on which it is told which certificates come to their end

_QUEUE_OF = {
    VALIDATE_UPLOADS: "validation",
    APPLY_CHANGES: "truststore",
    SIGN_HEADS: "truststore",
    SWEEP: "truststore",
    ANNOUNCE_EXPIRY: "truststore",
}
_TASK_OF: dict[type[Message], str] = {OperationAccepted: VALIDATE_UPLOADS, OperationValidated: APPLY_CHANGES}
_VISIBILITY_SECONDS = 180  # above twice the hard time limit; the shortest of all apps on a broker wins


def channel(environment: str) -> str:
    """Return the Redis channel on which an environment's hints travel."""
    return f"trustcast:changes:{environment}"


class Broker:
    """Publishes what the outbox owes: wake-ups as Celery tasks, news of truststores and certificates as Redis hints."""

    def __init__(self, celery: Celery, hints: redis.Redis) -> None:
        self._celery = celery
        self._hints = hints

    def publish(self, message: Message, event: str) -> None:
        """Send `event`, the encoded `message`, to where it belongs. Raises `Unavailable("broker_unavailable")`."""
        try:
            if isinstance(message, TruststoreChanged):
                self._hints.publish(channel(message.environment), event)
            elif isinstance(message, CertificateExpiring):
                self._hints.publish(CERTIFICATES, event)
            else:
                task = _TASK_OF[type(message)]
                self._celery.send_task(task, args=[event], queue=_QUEUE_OF[task], retry=False)
        except (redis.RedisError, OperationalError, OSError) as error:
            raise _unavailable(error) from error

    def ping(self) -> None:
        """Raise `Unavailable("broker_unavailable")` unless Redis answers."""
        try:
            self._hints.ping()
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close every connection of this process to any broker; the next use opens new ones."""
        self._hints.close()
        # Kombu's pools belong to the process; one that was only emptied would let the next sender wait for ever.
        pools.reset()


def connect(broker_url: str, redis_url: str) -> Broker:
    """Return the broker at these URLs; it connects when it is first used."""
    hints = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=10)
    sender = celery_app(broker_url)
    # A sender does not wait for a broker that is away; the outbox keeps what is owed and tries again.
    sender.conf.broker_transport_options = sender.conf.broker_transport_options | _NO_RETRY
    return Broker(sender, hints)


class _Connection(Connection):
    """Looks every few seconds for a broker that is away; no setting of Celery keeps the pauses from growing to 30 s."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **options | _LOOK_FOR_IT)


class _Amqp(AMQP):
    Connection = _Connection
    _producer_pool: Any

    @property
    def producer_pool(self) -> Any:
        """Celery keeps the pool that it met first, even if another sender of this process has closed them all since."""
        if self._producer_pool is not None and self._producer_pool._closed:  # noqa: SLF001 - it has no public name
            self._producer_pool = None
        return super().producer_pool


def celery_app(broker_url: str) -> Celery:
    """Return the Celery application that senders and the worker share, without tasks."""
    app = Celery("trustcast", broker=broker_url, set_as_current=False, amqp=_Amqp)
    app.conf.update(_SETTINGS)
    return app


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable("broker_unavailable", f"The broker does not answer ({type(error).__name__}).")


_LOOK_FOR_IT = {"interval_start": 1, "interval_step": 1, "interval_max": 3}  # seconds
_NO_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_SETTINGS: dict[str, Any] = {
    # Celery sends to a direct queue by its name, through the default exchange: FLUSHALL takes messages, not routes.
    "task_queues": [Queue("validation"), Queue("truststore")],
    "task_default_queue": "truststore",
    "task_create_missing_queues": False,
    "task_routes": {task: {"queue": queue} for task, queue in _QUEUE_OF.items()},
    # Acknowledge after the work, also when the child is lost; the attempts column bounds what comes back.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    # A failure is a state in the database, not a redelivery.
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_soft_time_limit": 45,
    "task_time_limit": 60,
    "visibility_timeout": _VISIBILITY_SECONDS,
    "broker_transport_options": {
        "visibility_timeout": _VISIBILITY_SECONDS,
        # The defaults sweep every 100 s or so, and a dead mutex holder blocks for 300 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 30,
        # A half-open socket otherwise waits for ever.
        "socket_timeout": 15,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "result_backend_transport_options": {"visibility_timeout": _VISIBILITY_SECONDS},
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # 100 by default, then the worker gives up
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "task_ignore_result": True,  # state lives in the database; result consumers have leaked
    "task_serializer": "json",
    "accept_content": ["json"],
    # Tasks take milliseconds and wake-ups may be lost: a short grace, so that a stop is a stop.
    "worker_soft_shutdown_timeout": 5,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "timezone": "UTC",
}
