"""`make compose-test`: docker-compose.yml for real, in a copy of the checkout, as a person would use it.

Up, one upload, both gateways' truststore files read, delete, files read again, what must be closed is closed, down.
Where no Docker engine answers, `../shared/tools/docker-standins` is asked for one. `KEEP=1` leaves everything running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme

from trustcast.keystore import jks
from trustcast_cli import data_folder, free_port

ROOT = Path(__file__).parents[2]
STANDINS = ROOT.parent / "shared" / "tools" / "docker-standins"
PROJECT = "trustcast-compose-test"
GATEWAYS = ("gateway-1", "gateway-2")
ALIAS = "orders-backend"
UP_WITHIN = 120.0
# Below a listener's tick (24 s at least), which would repair, and hide, a hint or a report that was lost.
CONVERGED_WITHIN = 10.0


class Failed(Exception):
    """What did not happen, in a sentence."""


def main() -> None:
    """Run everything; what fails is one sentence and status 1, and the containers are gone either way."""
    _need_an_engine()
    with tempfile.TemporaryDirectory(prefix="trustcast-compose-") as folder:
        copy = Path(folder) / "checkout"
        _copy_checkout(copy)
        subprocess.run([sys.executable, "docker/prepare.py"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        try:
            with _running(copy) as (api, flower):
                _one_certificate_travels(copy, api)
                _flower_asks_for_a_password_and_changes_nothing(copy, flower)
                _a_gateway_may_only_listen(copy)
                _no_container_runs_as_root(copy)
        except (Failed, httpx.HTTPError) as error:
            sys.exit(f"compose-test failed: {error}")
    print("compose-test: 1 upload, 2 gateways, 1 delete: as it should be")


def _need_an_engine() -> None:
    if _engine_answers():
        return
    if not STANDINS.exists():
        sys.exit("compose-test needs a Docker engine; none answers.")
    print("No Docker engine answers; starting one for tests.")
    subprocess.run([STANDINS, "up"], check=True, stdout=subprocess.DEVNULL)


def _engine_answers() -> bool:
    if not shutil.which("docker"):
        return False
    done = subprocess.run(["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


def _copy_checkout(copy: Path) -> None:
    """Copy what git knows and what is new, so that nothing in the person's own compose-data/ is touched."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def _compose(copy: Path, *arguments: str) -> str:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    files = ["--file", "docker-compose.yml", "--file", "tests/compose/host-network.yml"]
    done = subprocess.run(
        [*(["docker", "compose"] if plugin else ["docker-compose"]), "--project-name", PROJECT, *files, *arguments],
        cwd=copy, env=os.environ | PORTS, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"compose {arguments[0]}: {(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def _port() -> str:
    return str(free_port.checked("127.0.0.1", 0))


PORTS = {"TRUSTCAST_PORT": _port(), "FLOWER_PORT": _port()}


@contextmanager
def _running(copy: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    token = (copy / "compose-data" / "admin.token").read_text(encoding="ascii").strip()
    began = time.monotonic()
    try:
        _compose(copy, "build")
        print(f"built after {time.monotonic() - began:.0f} s")
        _compose(copy, "up", "--detach")
        _wait_until(UP_WITHIN, "all containers are healthy", lambda: _all_healthy(copy))
        print(f"healthy after {time.monotonic() - began:.0f} s")
        with (
            httpx.Client(
                base_url=f"http://127.0.0.1:{PORTS['TRUSTCAST_PORT']}", headers={"Authorization": f"Bearer {token}"}
            ) as api,
            httpx.Client(base_url=f"http://127.0.0.1:{PORTS['FLOWER_PORT']}") as flower,
        ):
            yield api, flower
    except BaseException:
        print(_compose(copy, "ps"), _compose(copy, "logs", "--no-color", "--tail=40"), sep="\n", file=sys.stderr)
        raise
    finally:
        if not os.environ.get("KEEP"):
            _compose(copy, "down", "--volumes", "--remove-orphans")


def _containers(copy: Path, template: str) -> dict[str, str]:
    ids = _compose(copy, "ps", "--quiet").split()
    label = '{{index .Config.Labels "com.docker.compose.service"}}'
    shown = subprocess.run(
        ["docker", "inspect", "--format", f"{label} {template}", *ids], check=True, capture_output=True, text=True
    )
    return dict(line.split(" ", 1) for line in shown.stdout.splitlines())


def _all_healthy(copy: Path) -> bool:
    health = _containers(copy, "{{if .State.Health}}{{.State.Health.Status}}{{end}}")
    health.pop("migrate", None)
    return set(health.values()) == {"healthy"} and len(health) == 7


def _wait_until(seconds: float, what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def _one_certificate_travels(copy: Path, api: httpx.Client) -> None:
    issued = trustme.CA().issue_cert("orders.example.com")
    homes = [copy / "compose-data" / "gateways" / name for name in GATEWAYS]
    before = [_entries(home) for home in homes]
    answer = api.post(
        "/v1/certificates",
        data={"alias": ALIAS, "endpoint": "https://orders.example.com/v1"},
        files={"certificate": ("orders.pem", issued.cert_chain_pems[0].bytes(), "application/x-pem-file")},
    )
    _expect(answer.status_code == httpx.codes.ACCEPTED, f"the upload is accepted, not {answer.status_code}")
    _converged(api, answer)
    for home, foreign in zip(homes, before, strict=True):
        entries = _entries(home)
        _expect(ALIAS in entries, f"{home.name} holds {ALIAS}")
        _expect(foreign.items() <= entries.items(), f"{home.name} kept its foreign entries")
    answer = api.delete(f"/v1/certificates/{ALIAS}")
    _expect(answer.status_code == httpx.codes.ACCEPTED, f"the deletion is accepted, not {answer.status_code}")
    _converged(api, answer)
    for home, foreign in zip(homes, before, strict=True):
        _expect(_entries(home) == foreign, f"{home.name} is what it was")


def _converged(api: httpx.Client, accepted: httpx.Response) -> None:
    def done() -> bool:
        operation = api.get(accepted.headers["Location"]).raise_for_status().json()
        if operation["state"] in {"rejected", "failed"}:
            raise Failed(f"the operation is {operation['state']}: {operation['problem']}")
        return bool(operation["converged"])

    began = time.monotonic()
    _wait_until(CONVERGED_WITHIN, "the operation has converged", done)
    print(f"converged after {(time.monotonic() - began) * 1000:.0f} ms")


def _entries(home: Path) -> dict[str, bytes]:
    truststore = home / data_folder.TRUSTSTORE
    return {entry.alias: entry.raw for entry in jks.read(truststore.read_bytes(), data_folder.TRUSTSTORE_PASSWORD)}


def _expect(condition: object, what: str) -> None:
    if not condition:
        raise Failed(f"this does not hold: {what}")


def _flower_asks_for_a_password_and_changes_nothing(copy: Path, flower: httpx.Client) -> None:
    _expect(flower.get("/api/workers").status_code == httpx.codes.UNAUTHORIZED, "Flower asks for a password")
    user, _, password = (copy / "compose-data/secrets/flower-auth").read_text(encoding="ascii").strip().partition(":")
    known = httpx.BasicAuth(user, password)
    workers = flower.get("/api/workers", params={"refresh": "1"}, auth=known)
    _expect(workers.status_code == httpx.codes.OK and workers.json(), "Flower shows the worker to whom it knows")
    shutdown = flower.post(f"/api/worker/shutdown/{next(iter(workers.json()))}", auth=known)
    _expect(shutdown.status_code == httpx.codes.FORBIDDEN, f"Flower is read-only, not {shutdown.status_code}")


def _a_gateway_may_only_listen(copy: Path) -> None:
    url = (copy / "compose-data/secrets/redis-url-gateways").read_text(encoding="ascii").strip()
    password = url.partition("//gateways:")[2].partition("@")[0]
    said = _compose(
        copy, "exec", "-T", "redis", "redis-cli", "--no-auth-warning", "--user", "gateways", "--pass", password,
        "publish", "trustcast:changes:default", "{}",
    )  # fmt: skip
    _expect("NOPERM" in said, f"a gateway cannot publish a hint: {said!r}")


def _no_container_runs_as_root(copy: Path) -> None:
    users = _containers(copy, "{{.Config.User}}")
    roots = {name for name, user in users.items() if user.partition(":")[0] in {"", "0", "root"}}
    # PostgreSQL's own start-up script begins as root and hands over.
    _expect(roots == {"postgres"}, f"only postgres' start-up runs as root: {roots}")


if __name__ == "__main__":
    main()
