"""One gateway's listener in the test's own hands: with other settings, and to be killed at any moment."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from tests import dev_server
from trustcast_cli import passed_settings
from trustcast_cli.data_folder import ENVIRONMENT
from trustcast_cli.services import Services


@contextlib.contextmanager
def listening(services: Services, gateway: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the listener in place of the services' own, which must be stopped; `settings` go over what `dev` gives it."""
    folder = services.folder
    given = {
        "TRUSTCAST_API_URL": services.url,
        "TRUSTCAST_REDIS_URL_FILE": str(folder.redis / "url"),
        "TRUSTCAST_GATEWAY_NAME": gateway,
        "TRUSTCAST_GATEWAY_ENVIRONMENT": ENVIRONMENT,
        "TRUSTCAST_GATEWAY_HOME": str(folder.gateway_home(gateway)),
        "TRUSTCAST_GATEWAY_TOKEN_FILE": str(folder.listener(gateway) / "token"),
        "TRUSTCAST_GATEWAY_STATE_DIR": str(folder.listener(gateway) / "state"),
        "TRUSTCAST_HEAD_PUBLIC_KEY_FILE": str(folder.head_public_key),
    }
    environment = dev_server.environment(passed_settings.merged(given, settings))
    with folder.log(gateway).open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "trustcast_gateway"], env=environment, stdout=log, stderr=log)
    with process:
        try:
            yield process
        finally:
            process.kill()
