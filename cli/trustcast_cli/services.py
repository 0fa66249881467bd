"""The services of `trustcast dev`: Redis, the api, a worker and the listeners, each a process of its own.

`dev`, `demo` and the tests run the same code; a test may also stop one service and start it again by its name.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from trustcast_cli import data_folder, dev_database, embedded_redis, free_port, passed_settings
from trustcast_cli.data_folder import DataFolder
from trustcast_cli.embedded_redis import EmbeddedRedis
from trustcast_cli.errors import CannotRun
from trustcast_cli.processes import Processes
from trustcast_cli.supervise import Child, Supervisor

LOOPBACK = embedded_redis.LOOPBACK
READY_WITHIN = 60.0
DEATHS_AT_START = 3
PROBE_EVERY = 0.02
# Together below the ten seconds that a stop may take; Redis goes last, the others still speak to it.
STOP_WITHIN = 6.0
REDIS_STOPS_WITHIN = 2.0


class Services:
    """The running services. `names` are `redis`, `api`, `worker` and the gateways' names, as in logs and pid files."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        gateways: tuple[str, ...],
        port: int,
        children: Mapping[str, Child],
        supervisor: Supervisor,
        stopped: Callable[[], bool],
    ) -> None:
        self.folder = folder
        self.gateways = gateways
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.names = tuple(children)
        self._children = children
        self._supervisor = supervisor
        self._stopped = stopped
        self._came_up = False

    @property
    def admin_token(self) -> str:
        """The admin's bearer token."""
        return self.folder.admin_token.read_text(encoding="ascii").strip()

    def start(self, name: str) -> None:
        """Start a stopped service and keep it alive from now on."""
        self._supervisor.start(self._children[name])

    def stop(self, name: str, *, within: float = STOP_WITHIN) -> None:
        """Stop a service, with SIGKILL after `within` seconds (0: at once), and leave it stopped."""
        self._supervisor.stop([name], within=within)

    def pid(self, name: str) -> int | None:
        """Return the process id of a service, None while it does not run."""
        return self._supervisor.pid(name) if name in self._supervisor.names() else None

    def ready(self, name: str) -> bool:
        """Tell whether a service works: the api says so, the others touched their health file since they started."""
        if name == "api":
            return _ready(self.port)
        if name == "redis":
            return self.pid(name) is not None
        with contextlib.suppress(FileNotFoundError):
            return self.folder.health(name).stat().st_mtime >= self._supervisor.started_at(name)
        return False

    def wait_until_ready(self, seconds: float = READY_WITHIN) -> None:
        """Return when every started service works, or when a stop was asked for. Raises `CannotRun` if one does not."""
        self.wait_for(lambda: all(map(self.ready, self._supervisor.names())), seconds, "The services are not ready")
        self._came_up = True

    def wait_for(self, condition: Callable[[], bool], seconds: float, failure: str) -> None:
        """Return when the condition holds, or when a stop was asked for. Raises `CannotRun` with the failure."""
        deadline = time.monotonic() + seconds
        while not condition() and not self._stopped():
            self._give_up_on_a_crash_loop()
            if time.monotonic() > deadline:
                late = [name for name in self._supervisor.names() if not self.ready(name)]
                reason = f"waiting for {', '.join(late)}" if late else "no reason is known"
                raise CannotRun(f"{failure} after {seconds:g} s: {reason}. See {self.folder.path / 'logs'}.")
            time.sleep(PROBE_EVERY)

    def close(self) -> None:
        """Stop all services within ten seconds."""
        self._supervisor.stop([name for name in self._supervisor.names() if name != "redis"], within=STOP_WITHIN)
        self._supervisor.stop(["redis"], within=REDIS_STOPS_WITHIN)

    def _give_up_on_a_crash_loop(self) -> None:
        for name in self._supervisor.names():
            if self._supervisor.deaths(name) >= DEATHS_AT_START and not self._came_up:
                raise CannotRun(f"{name} does not start: {self.folder.last_words(name)}")


@contextlib.contextmanager
def running(
    path: Path,
    *,
    port: int,
    gateways: int,
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Services]:
    """Run the services on the data folder `path` and stop them at the end; they are not ready yet when this yields.

    `environ` is handed on to them, `say` takes a sentence about each that dies, `stopped` tells when to give up
    waiting. Raises `CannotRun`.
    """
    passed = passed_settings.for_services(environ)
    database = dev_database.named(passed["trustcast_api"])
    _tell(passed, database, say)
    with (
        data_folder.opened(path) as (folder, lock),
        dev_database.held(dev_database.sqlite_file(database) if database else folder.database) as database_lock,
    ):
        _check_port(passed["trustcast_api"].get("TRUSTCAST_API_HOST", LOOPBACK), port)
        names = data_folder.prepare(folder, gateways)
        redis = None if _own_redis(passed) else embedded_redis.prepare(folder.redis)
        processes = Processes(folder, environ, passed)
        children = [
            *([processes.redis(redis)] if redis else []),
            processes.api(port),
            processes.worker(),
            *(processes.listener(name, port) for name in names),
        ]
        services = Services(
            folder,
            gateways=names,
            port=port,
            children={child.name: child for child in children},
            supervisor=Supervisor(say=say, pass_fds=(lock, *database_lock)),
            stopped=stopped,
        )
        try:
            _start(services, redis, migrate=processes.migrate)
            yield services
        finally:
            services.close()


def _tell(passed: Mapping[str, Mapping[str, str]], database: str | None, say: Callable[[str], None]) -> None:
    """Say what comes from the environment: a variable that was exported long ago is easily forgotten."""
    if names := sorted({name for settings in passed.values() for name in settings}):
        say(f"From the environment: {', '.join(names)}.")
    if database:
        say(f"The database is {dev_database.described(database)}, not the data folder's.")


def _start(services: Services, redis: EmbeddedRedis | None, *, migrate: Callable[[], None]) -> None:
    if redis:
        services.start("redis")
    migrate()
    if redis:
        services.wait_for(redis.answers, 10, "Redis does not answer")
    services.start("api")
    services.start("worker")
    # A listener that finds no api would warn in its log and pause before it looks again.
    services.wait_for(lambda: services.ready("api"), READY_WITHIN, "The api is not ready")
    for gateway in services.gateways:
        services.start(gateway)


def _own_redis(passed: Mapping[str, Mapping[str, str]]) -> bool:
    return not passed["trustcast_worker"].keys().isdisjoint({"TRUSTCAST_REDIS_URL", "TRUSTCAST_REDIS_URL_FILE"})


def _check_port(host: str, port: int) -> None:
    try:
        free_port.checked(host, port)
    except OSError as error:
        raise CannotRun(f"Port {port} on {host} cannot be used: {error.strerror}. Choose another --port.") from None


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
