"""WSO2's certificate routes as their clients see them, with a worker that does its part as soon as there is some."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import exists, select

from tests.certificates import Made
from tests.served_api import ADMIN, ServedApi
from trustcast.domain.operation import ENDED
from trustcast.storage.tables import operation

NEWER = ("v1", "v2", "v3", "v4")
VERSIONS = (*NEWER, "v0.14")
_LOOK_EVERY_SECONDS = 0.01


@dataclass(frozen=True)
class Face:
    """The routes of one version."""

    api: ServedApi
    version: str

    @property
    def resource(self) -> str:
        return "/certificates" if self.version == "v0.14" else "/endpoint-certificates"

    @property
    def base(self) -> str:
        """What the links in lists are relative to."""
        return f"/api/am/publisher/{self.version}"

    @property
    def address(self) -> str:
        return self.base + self.resource

    def ask(self, method: str, path: str = "", *, as_: str | None = ADMIN, **options: Any) -> httpx.Response:
        return self.api.ask(method, self.address + path, as_=as_, **options)

    def upload(self, alias: str, made: Made, endpoint: str, **options: Any) -> httpx.Response:
        data = {"alias": alias, "endpoint": endpoint}
        return self.ask("POST", data=data, files={"certificate": ("c.crt", made.pem)}, **options)

    def replace(self, alias: str, made: Made, **options: Any) -> httpx.Response:
        return self.ask("PUT", f"/{alias}", files={"certificate": ("c.crt", made.der)}, **options)

    def found(self, **filters: str | int) -> list[dict[str, str]]:
        """What a list shows."""
        answer = self.ask("GET", params=filters)
        assert answer.status_code == 200, answer.text
        shown: list[dict[str, str]] = answer.json()["certificates"]
        return shown


def some_host() -> str:
    """A host that no other test uses."""
    return f"{uuid.uuid4().hex[:12]}.example"


def some_alias() -> str:
    """An alias that no other test uses."""
    return f"web-{uuid.uuid4().hex[:12]}"


def assert_error(answer: httpx.Response, status: int, message: str) -> dict[str, Any]:
    """Every error has this one form."""
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["message"]) == (status, status, message), body
    assert set(body) == {"code", "message", "description", "moreInfo", "error"}
    assert body["description"]
    assert all(set(one) == {"code", "message"} for one in body["error"])
    return body


@contextmanager
def working(api: ServedApi) -> Iterator[ServedApi]:
    """Do the worker's part from a thread of its own until the end."""
    ended = threading.Event()
    waiting = select(exists().where(operation.c.state.not_in(ENDED)))

    def is_waiting() -> bool:
        with api.database.reading() as transaction:
            return bool(transaction.execute(waiting).scalar_one())

    def work() -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            if is_waiting():
                api.work()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield api
    finally:
        ended.set()
        thread.join()
