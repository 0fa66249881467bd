"""Wires the worker: settings in, a Celery application with its tasks and its schedule out."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from celery.signals import worker_ready

from trustcast import broker
from trustcast.domain.head import HeadSigner
from trustcast.domain.policy import Policy
from trustcast.storage.session import Database
from trustcast_worker import tasks
from trustcast_worker.truststore_cache import TruststoreCache

if TYPE_CHECKING:
    from celery import Celery

    from trustcast_worker.settings import Settings

SIGN_SECONDS = 30.0


@dataclass
class Context:
    """What tasks work with. Connections are made on first use, so that each forked child has its own."""

    settings: Settings
    signer: HeadSigner

    @cached_property
    def database(self) -> Database:
        """The database of this process."""
        return Database(self.settings.database())

    @cached_property
    def broker(self) -> broker.Broker:
        """The broker of this process."""
        return broker.connect(self.settings.broker(), self.settings.redis())

    @cached_property
    def truststores(self) -> TruststoreCache:
        """What this process last saw in each truststore."""
        return TruststoreCache()

    @cached_property
    def policy(self) -> Policy:
        """The rules for what comes in."""
        return Policy()

    @cached_property
    def name(self) -> str:
        """Name this process in leases; no two processes ever share one."""
        return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)


def create_app(settings: Settings) -> Celery:
    """Return the Celery application. Raises `SettingsError` or `Unavailable` for a key that cannot be used."""
    signer = HeadSigner.from_pem(settings.head_key())
    app = broker.celery_app(settings.broker())
    tasks.register(app, Context(settings, signer))
    app.conf.beat_schedule = {
        broker.SWEEP: {"task": broker.SWEEP, "schedule": settings.worker_sweep_seconds},
        broker.SIGN_HEADS: {"task": broker.SIGN_HEADS, "schedule": SIGN_SECONDS},
    }
    app.conf.beat_schedule_filename = str(settings.worker_state_dir / "beat-schedule")

    @worker_ready.connect(weak=False)
    def look_around(**_: object) -> None:
        """Pick up at once what waited while nobody was here."""
        app.send_task(broker.SWEEP)
        app.send_task(broker.SIGN_HEADS)

    return app
