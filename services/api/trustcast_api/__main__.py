"""`python -m trustcast_api`: the HTTP API, until SIGTERM."""

from __future__ import annotations

import sys

import uvicorn

from trustcast import log, settings
from trustcast.domain.errors import TrustcastError
from trustcast_api.app import create_app
from trustcast_api.bounded_head import BoundedHead
from trustcast_api.settings import Settings


def main() -> None:
    """Read the settings, wire, serve. A wrong setting is one sentence and exit status 1."""
    log.configure("api")
    try:
        loaded = settings.load(Settings)
        app = create_app(loaded)
    except (settings.SettingsError, TrustcastError) as error:
        sys.exit(str(error))
    uvicorn.run(
        app,
        host=loaded.api_host,
        port=loaded.api_port,
        http=BoundedHead,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
