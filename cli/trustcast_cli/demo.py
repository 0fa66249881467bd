"""`trustcast demo`: one certificate travels the whole way, on real input, and back."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trustcast_cli import data_folder, demo_backend, dev, free_port, services, truststore_client
from trustcast_cli.demo_backend import Backend
from trustcast_cli.errors import CannotRun
from trustcast_cli.services import Services
from trustcast_cli.truststore_client import JavaClient

ALIAS = "demo-backend"
GATEWAYS = 3
PASSWORD = data_folder.TRUSTSTORE_PASSWORD
CONVERGED_WITHIN = 30.0
POLL_EVERY = 0.005
ENDS_BADLY = {"rejected", "failed"}
STATES = (("received", "accepted_at"), ("validated", "validated_at"), ("applied", "applied_at"))

Installed = dict[str, float]  # gateway -> milliseconds since the request


def run() -> None:
    """Run all six steps. Raises `CannotRun` for anything unexpected, after everything is stopped."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    path = Path(tempfile.mkdtemp(prefix="trustcast-demo-"))
    try:
        _run_in(path)
    except CannotRun as error:
        raise CannotRun(f"The demo failed: {error}\nIts data folder is kept for you to look at: {path}") from error
    except KeyboardInterrupt:
        shutil.rmtree(path)
        raise CannotRun("The demo was interrupted; everything is stopped.") from None
    except BaseException:  # a pipe that was closed, say: keys and tokens must not stay behind
        shutil.rmtree(path)
        raise
    shutil.rmtree(path)


def _run_in(path: Path) -> None:
    began = time.monotonic()
    console = Console(highlight=False)
    _step(console, 1, "Start Redis, the api, a Celery worker and three gateway listeners")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTCAST_")}
    port = free_port.checked(services.LOOPBACK, 0)
    with (
        console.status("starting") as starting,
        services.running(path, port=port, gateways=GATEWAYS, environ=environ, say=dev.tell) as running,
        demo_backend.serving(path) as backend,
        _admin(running) as api,
    ):
        running.wait_until_ready()
        starting.stop()
        try:
            Demo(running, backend, api, console, began=began).tell()
        except httpx.HTTPError as error:
            raise CannotRun(f"The api does not answer as it should: {error}") from error


@dataclass
class Demo:
    """The story, once everything runs."""

    running: Services
    backend: Backend
    api: httpx.Client
    console: Console
    began: float

    def tell(self) -> None:
        """Take the steps one after the other."""
        foreign = self._services_are_up()
        self._nobody_trusts_the_backend()
        installed = self._upload()
        self._every_gateway_trusts_the_backend()
        removed = self._delete()
        self._foreign_entries_are_still_there(foreign)
        self._summary(installed, removed, foreign)

    def _services_are_up(self) -> Mapping[str, list[bytes]]:
        foreign = {gateway: self._foreign(gateway) for gateway in self.running.gateways}
        counts = sorted({len(entries) for entries in foreign.values()})
        self._note(f"ready after {time.monotonic() - self.began:.1f} s at {self.running.url}")
        self._note(f"each gateway's truststore already holds {' to '.join(map(str, counts))} foreign entries")
        return foreign

    def _nobody_trusts_the_backend(self) -> None:
        self._step(2, "Start a backend with a self-signed certificate made just now")
        self._note(self.backend.url)
        self._expect_refusal(self.running.gateways[0])

    def _upload(self) -> Installed:
        self._step(3, f"Upload the certificate as {ALIAS}")
        return self._accepted(
            lambda: self.api.post(
                "/v1/certificates",
                data={"alias": ALIAS, "endpoint": self.backend.url},
                files={"certificate": ("backend.pem", self.backend.certificate, "application/x-pem-file")},
            ),
            "installed",
        )

    def _every_gateway_trusts_the_backend(self) -> None:
        self._step(4, "Connect again, through each gateway's own truststore file")
        for gateway in self.running.gateways:
            if reason := truststore_client.refusal(self.backend.url, self._truststore(gateway), PASSWORD):
                raise CannotRun(f"A client with {gateway}'s truststore is refused: {reason}.")
            self._good(f"Python client, {gateway}'s truststore: connected")
        if self._java:
            for gateway, reason in zip(self.running.gateways, self._on_a_jvm(*self.running.gateways), strict=True):
                if reason:
                    raise CannotRun(f"A JVM with {gateway}'s truststore is refused: {reason}")
                self._good(f"JVM client, {gateway}'s truststore: connected")

    def _delete(self) -> Installed:
        self._step(5, "Delete the certificate")
        removed = self._accepted(lambda: self.api.delete(f"/v1/certificates/{ALIAS}"), "removed")
        self._expect_refusal(self.running.gateways[0])
        return removed

    def _foreign_entries_are_still_there(self, before: Mapping[str, list[bytes]]) -> None:
        for gateway, entries in before.items():
            if self._foreign(gateway) != entries:
                raise CannotRun(f"{gateway}'s foreign entries are not what they were.")
        self._good("the foreign entries are all still there, byte for byte")

    def _summary(self, installed: Installed, removed: Installed, foreign: Mapping[str, list[bytes]]) -> None:
        self._step(6, "Summary")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("gateway")
        for heading in ("installed after", "removed after", "foreign entries"):
            table.add_column(heading, justify="right")
        for gateway in self.running.gateways:
            times = (f"{times[gateway]:.0f} ms" for times in (installed, removed))
            table.add_row(gateway, *times, f"{len(foreign[gateway])} untouched")
        self.console.print(table)
        self.console.print(f"Done in {time.monotonic() - self.began:.1f} s.")

    def _accepted(self, send: Callable[[], httpx.Response], done: str) -> Installed:
        """Send a request, show the operation's states and the gateways as they come, and return the gateways' times."""
        sent = dt.datetime.now(dt.UTC)
        answer = send()
        if answer.status_code != httpx.codes.ACCEPTED:
            raise CannotRun(f"The api answered {answer.status_code}: {answer.text}")
        self._note(f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}")
        shown: dict[str, float] = {}
        deadline = time.monotonic() + CONVERGED_WITHIN
        while True:
            operation = self.api.get(answer.headers["Location"]).raise_for_status().json()
            for text, moment in _news(operation, done):
                if text not in shown:
                    shown[text] = _milliseconds(sent, moment)
                    self._note(f"[dim]{shown[text]:>6.0f} ms[/]  {text}")
            if operation["state"] in ENDS_BADLY:
                raise CannotRun(f"The operation is {operation['state']}: {_problem(operation['problem'] or {})}")
            if operation["converged"]:
                return {gateway: shown[f"{gateway} {done}"] for gateway in self.running.gateways}
            if time.monotonic() > deadline:
                raise CannotRun(f"Not all gateways have it within {CONVERGED_WITHIN:g} s.")
            time.sleep(POLL_EVERY)

    def _expect_refusal(self, gateway: str) -> None:
        refusals = {"Python": truststore_client.refusal(self.backend.url, self._truststore(gateway), PASSWORD)}
        if self._java:
            refusals["JVM"] = self._on_a_jvm(gateway)[0]
        for who, reason in refusals.items():
            if reason is None:
                raise CannotRun(f"A {who} client with {gateway}'s truststore connects, but it must not.")
            self._bad(f"{who} client, {gateway}'s truststore: refused")
            self._note(f"  {escape(reason)}")

    def _on_a_jvm(self, *gateways: str) -> list[str | None]:
        truststores = [self._truststore(gateway) for gateway in gateways]
        with self.console.status("a JVM connects"):
            return JavaClient(self.backend.url, PASSWORD).refusals(truststores)

    @property
    def _java(self) -> bool:
        return JavaClient.is_possible()

    def _truststore(self, gateway: str) -> Path:
        return self.running.folder.truststore(gateway)

    def _foreign(self, gateway: str) -> list[bytes]:
        entries = truststore_client.entries(self._truststore(gateway), PASSWORD)
        return sorted(entry.raw for entry in entries if entry.alias != ALIAS)

    def _step(self, number: int, title: str) -> None:
        _step(self.console, number, title)

    def _note(self, text: str) -> None:
        self.console.print(f"   {text}")

    def _good(self, text: str) -> None:
        self.console.print(f"   [green]✓[/] {text}")

    def _bad(self, text: str) -> None:
        self.console.print(f"   [red]✗[/] {text}")


def _admin(running: Services) -> httpx.Client:
    headers = {"Authorization": f"Bearer {running.admin_token}"}
    # It is on loopback: no proxy of the person's environment.
    return httpx.Client(base_url=running.url, headers=headers, trust_env=False)


def _step(console: Console, number: int, title: str) -> None:
    console.print(f"\n[bold cyan]{number}[/]  [bold]{title}[/]")


def _news(operation: Mapping[str, Any], done: str) -> Iterator[tuple[str, str]]:
    """Yield each thing that has happened to the operation so far with its time, oldest first."""
    happened = [(operation[moment], state) for state, moment in STATES if operation[moment]]
    happened += [
        (gateway["at"], f"{gateway['name']} {done}")
        for gateway in operation["gateways"]
        if gateway["phase"] in {"installed", "loaded"}
        and gateway["generation"] >= operation["generations"].get(gateway["environment"], float("inf"))
    ]
    for moment, text in sorted(happened, key=lambda pair: pair[0]):
        yield text, moment


def _milliseconds(start: dt.datetime, moment: str) -> float:
    return max((dt.datetime.fromisoformat(moment) - start) / dt.timedelta(milliseconds=1), 0)


def _problem(problem: Mapping[str, Any]) -> str:
    return f"{problem.get('code')}, {problem.get('detail')}"
