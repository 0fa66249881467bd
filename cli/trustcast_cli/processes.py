"""What each process of `trustcast dev` is: its command, and what it is told by its environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from trustcast_cli import data_folder, passed_settings
from trustcast_cli.data_folder import DataFolder
from trustcast_cli.embedded_redis import LOOPBACK, EmbeddedRedis
from trustcast_cli.errors import CannotRun
from trustcast_cli.supervise import PRIVATE_UMASK, Child


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes on one data folder. `environ` is dev's own environment, `passed` its settings by service."""

    folder: DataFolder
    environ: Mapping[str, str]
    passed: Mapping[str, Mapping[str, str]]

    def redis(self, embedded: EmbeddedRedis) -> Child:
        """Return the embedded Redis."""
        return self._child("redis", embedded.command, {})

    def api(self, port: int) -> Child:
        """Return the api, on loopback unless `TRUSTCAST_API_HOST` says otherwise."""
        own = {
            "TRUSTCAST_DATABASE_URL": self.folder.database_url,
            "TRUSTCAST_API_HOST": LOOPBACK,
            "TRUSTCAST_API_PORT": str(port),
            "TRUSTCAST_ADMIN_TOKEN_FILE": str(self.folder.admin_token),
            "TRUSTCAST_GATEWAYS_FILE": str(self.folder.gateways_file),
        }
        return self._service("api", "trustcast_api", own)

    def worker(self) -> Child:
        """Return the Celery worker, with beat inside."""
        own = {
            "TRUSTCAST_DATABASE_URL": self.folder.database_url,
            "TRUSTCAST_HEAD_KEY_FILE": str(self.folder.head_key),
            "TRUSTCAST_HEALTH_FILE": str(self.folder.health("worker")),
        }
        return self._service("worker", "trustcast_worker", own)

    def listener(self, gateway: str, port: int) -> Child:
        """Return a gateway's listener; the api is at `port`."""
        own = {
            "TRUSTCAST_API_URL": f"http://{LOOPBACK}:{port}",
            "TRUSTCAST_GATEWAY_NAME": gateway,
            "TRUSTCAST_GATEWAY_ENVIRONMENT": data_folder.ENVIRONMENT,
            "TRUSTCAST_GATEWAY_HOME": str(self.folder.gateway_home(gateway)),
            "TRUSTCAST_GATEWAY_TOKEN_FILE": str(self.folder.listener(gateway) / "token"),
            "TRUSTCAST_GATEWAY_STATE_DIR": str(self.folder.listener(gateway) / "state"),
            "TRUSTCAST_HEAD_PUBLIC_KEY_FILE": str(self.folder.head_public_key),
            "TRUSTCAST_HEALTH_FILE": str(self.folder.health(gateway)),
        }
        return self._service(gateway, "trustcast_gateway", own)

    def migrate(self) -> None:
        """Bring the database to this version, in a process that ends. Raises `CannotRun`."""
        database = {name: value for name, value in self.passed["trustcast_worker"].items() if "DATABASE_URL" in name}
        own = passed_settings.merged({"TRUSTCAST_DATABASE_URL": self.folder.database_url}, database)
        child = self._child("storage", (sys.executable, "-m", "trustcast.storage", "upgrade"), own)
        with child.log.open("ab") as log:
            done = subprocess.run(
                child.command,
                env=dict(child.environment),
                umask=PRIVATE_UMASK,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                process_group=0,  # a Ctrl-C does not tear it
            )
        if done.returncode:
            raise CannotRun(f"The database cannot be migrated: {self.folder.last_words('storage')}")

    def _service(self, name: str, package: str, own: Mapping[str, str]) -> Child:
        defaults = {"TRUSTCAST_REDIS_URL_FILE": str(self.folder.redis / "url"), **own}
        settings = passed_settings.merged(defaults, self.passed[package])
        if self.passed[package]:
            passed_settings.check(name, package, settings)
        return self._child(name, (sys.executable, "-m", package), settings)

    def _child(self, name: str, command: tuple[str, ...], settings: Mapping[str, str]) -> Child:
        others = {name: value for name, value in self.environ.items() if not name.startswith(passed_settings.PREFIX)}
        # A proxy of the person's own is for the world outside.
        direct = ",".join(filter(None, (others.get("no_proxy") or others.get("NO_PROXY"), LOOPBACK)))
        environment = {**others, "no_proxy": direct, "NO_PROXY": direct, **settings}
        return Child(name, command, environment, self.folder.log(name), self.folder.pid_file(name))
