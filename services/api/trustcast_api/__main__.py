"""`python -m trustcast_api`: the HTTP API, until SIGTERM."""

from __future__ import annotations

import sys

import uvicorn

from trustcast import log, settings
from trustcast.domain.errors import TrustcastError
from trustcast_api.app import create_app
from trustcast_api.server_options import OPTIONS
from trustcast_api.settings import Settings


def main() -> None:
    """Read the settings, wire, serve. A wrong setting is one sentence and exit status 1."""
    log.configure("api")
    try:
        loaded = settings.load(Settings)
        app = create_app(loaded)
    except (settings.SettingsError, TrustcastError) as error:
        sys.exit(str(error))
    uvicorn.run(app, host=loaded.api_host, port=loaded.api_port, timeout_graceful_shutdown=3, **OPTIONS)


if __name__ == "__main__":
    main()
