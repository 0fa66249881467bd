"""`python -m trustcast_worker`: a Celery worker with beat inside, until SIGTERM."""

from __future__ import annotations

import sys

from trustcast import log, settings
from trustcast.domain.errors import TrustcastError
from trustcast_worker.app import create_app
from trustcast_worker.settings import Settings


def main() -> None:
    """Read the settings, wire, work. A wrong setting is one sentence and exit status 1."""
    log.configure("worker")
    try:
        loaded = settings.load(Settings)
        app = create_app(loaded)
    except (settings.SettingsError, TrustcastError) as error:
        sys.exit(str(error))
    # Beat may run in every worker: each periodic task may run twice at once and does no harm.
    options = ["--beat", "--pool=prefork", f"--concurrency={loaded.worker_concurrency}"]
    app.worker_main(["worker", *options, "--loglevel=WARNING", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main()
