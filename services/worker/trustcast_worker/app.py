"""Wires the worker: settings in, a Celery application with its tasks and its schedule out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery.signals import worker_ready

from trustcast import broker
from trustcast.domain.head import HeadSigner
from trustcast_worker import tasks
from trustcast_worker.context import Context

if TYPE_CHECKING:
    from celery import Celery

    from trustcast_worker.settings import Settings

SIGN_SECONDS = 30.0
ANNOUNCE_SECONDS = 3600.0


def create_app(settings: Settings) -> Celery:
    """Return the Celery application. Raises `SettingsError` or `Unavailable` for a key that cannot be used."""
    signer = HeadSigner.from_pem(settings.head_key())
    app = broker.celery_app(settings.broker())
    tasks.register(app, Context(settings, signer))
    app.conf.beat_schedule = {
        broker.SWEEP: {"task": broker.SWEEP, "schedule": settings.worker_sweep_seconds},
        broker.SIGN_HEADS: {"task": broker.SIGN_HEADS, "schedule": SIGN_SECONDS},
        broker.ANNOUNCE_EXPIRY: {"task": broker.ANNOUNCE_EXPIRY, "schedule": ANNOUNCE_SECONDS},
    }
    # Celery's usual scheduler keeps its schedule in a pickle on disk. Ours begins anew with each start, see below.
    app.conf.beat_scheduler = "celery.beat:Scheduler"

    @worker_ready.connect(weak=False)
    def look_around(**_: object) -> None:
        """Pick up at once what waited while nobody was here."""
        app.send_task(broker.SWEEP)
        app.send_task(broker.SIGN_HEADS)
        app.send_task(broker.ANNOUNCE_EXPIRY)

    return app
