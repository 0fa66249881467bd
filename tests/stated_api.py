"""A small real api for listener tests: it signs heads, answers changes, takes reports, and lies when told to."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.certificates import self_signed
from trustcast.domain.head import LIFETIME, Head, HeadSigner, key_id
from trustcast.domain.truststore import Truststore

Answer = dict[str, Any]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@cache
def der(number: int) -> bytes:
    """The certificate of backend `number`; always the same in one run."""
    return self_signed(f"backend-{number}.example").der


class StatedApi:
    """One environment with its whole history. `requests` are what was asked, `reports` what was told.

    `lie` may change an answer to `changes` on its way out; `status` other than 200 refuses everything.
    """

    def __init__(self, environment: str = "default", *, at: datetime = NOON) -> None:
        self.environment = environment
        self.at = at
        self.key = Ed25519PrivateKey.generate()
        self.generations: list[dict[str, bytes]] = [{}]
        self.requests: list[str] = []
        self.reports: list[Answer] = []
        self.status = 200
        self.report_status = 204
        self.lie: Callable[[Answer], Answer] = lambda answer: answer

    @property
    def keys(self) -> dict[str, Any]:
        return {key_id(self.key.public_key()): self.key.public_key()}

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url="http://api", transport=httpx.MockTransport(self.handle))

    @property
    def asked_after(self) -> list[int]:
        """What each request for changes named as `after`."""
        return [int(url.split("after=")[1]) for url in self.requests if "/changes" in url]

    def state(self, entries: Mapping[str, bytes]) -> int:
        """Make a new generation with exactly these entries."""
        self.generations.append(dict(entries))
        return len(self.generations) - 1

    def put(self, alias: str, certificate: bytes) -> int:
        return self.state({**self.generations[-1], alias: certificate})

    def remove(self, alias: str) -> int:
        return self.state({name: der for name, der in self.generations[-1].items() if name != alias})

    def head(self, generation: int | None = None) -> Head:
        generation = len(self.generations) - 1 if generation is None else generation
        digest = digest_of(self.generations[generation])
        count = len(self.generations[generation])
        return Head(self.environment, generation, count, digest, None, self.at, self.at + LIFETIME)

    def envelope(self, **changed: Any) -> Answer:
        """The signed head, with some of its fields changed before it is signed."""
        sealed: Answer = json.loads(HeadSigner(self.key).sign(replace(self.head(), **changed)))
        return sealed

    def answer(self, after: int) -> Answer:
        old, new = self.generations[min(after, len(self.generations) - 1)], self.generations[-1]
        put = [
            {"change": "put", "alias": alias, "certificate": base64.b64encode(der).decode()}
            for alias, der in sorted(new.items())
            if old.get(alias) != der
        ]
        remove = [{"change": "remove", "alias": alias} for alias in sorted(old.keys() - new.keys())]
        head = self.envelope() if len(self.generations) > 1 else None
        return {"head": head, "after": after, "changes": put + remove}

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.raw_path.decode()}")
        if self.status != 200:
            return _raw(self.status)
        if request.method == "POST":
            self.reports.append(json.loads(request.content))
            return _raw(self.report_status)
        body = json.dumps(self.lie(self.answer(int(request.url.params["after"])))).encode()
        return _raw(200, gzip.compress(body, 1), {"Content-Encoding": "gzip"})

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve over HTTP on loopback; yields the URL."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(handler) -> None:  # noqa: N805 - BaseHTTPRequestHandler's names
                body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
                answer = self.handle(httpx.Request(handler.command, f"http://api{handler.path}", content=body))
                handler.send_response(answer.status_code)
                for name in {"content-encoding"} & set(answer.headers):
                    handler.send_header(name, answer.headers[name])
                raw = b"".join(answer.iter_raw())
                handler.send_header("Content-Length", str(len(raw)))
                handler.end_headers()
                handler.wfile.write(raw)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that was killed is no news."""

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def digest_of(entries: Mapping[str, bytes]) -> str:
    """The digest that a head states for these entries."""
    return Truststore({alias: sha256(der).hexdigest() for alias, der in entries.items()}).digest()


def _raw(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A response that has not been read yet, as it comes from a socket."""
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)


def later(**by: float) -> datetime:
    return NOON + timedelta(**by)
