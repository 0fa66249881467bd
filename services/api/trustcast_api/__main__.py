"""`python -m trustcast_api`: the HTTP API, until SIGTERM."""

from __future__ import annotations

import sys

import uvicorn

from trustcast import log, settings
from trustcast.domain.errors import TrustcastError
from trustcast_api.app import create_app
from trustcast_api.server_options import OPTIONS
from trustcast_api.settings import Settings

# Ten times as often as usual threads take turns. Under attack the 99th percentile was half of what it was otherwise at
# best, when large uploads were read in this process; now it is 15 to 40 ms with either.
_TURN_SECONDS = 0.0005


def main() -> None:
    """Read the settings, wire, serve. A wrong setting is one sentence and exit status 1."""
    log.configure("api")
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        loaded = settings.load(Settings)
        app = create_app(loaded)
    except (settings.SettingsError, TrustcastError) as error:
        sys.exit(str(error))
    app.state.context.reader.start()
    uvicorn.run(app, host=loaded.api_host, port=loaded.api_port, timeout_graceful_shutdown=3, **OPTIONS)


if __name__ == "__main__":
    main()
