"""An HTTP proxy between a listener and the api that counts what is asked and may change what is answered."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx

_KEPT = {"authorization", "content-type"}


class ManInTheMiddle:
    """`url` is what the listener takes for the api. `tamper` changes the body of an answer to `changes`.

    `asked_after` is what each request for changes named as `after`; `answers` are the api's own bodies to them.
    """

    def __init__(self, api: httpx.Client) -> None:
        self.url = ""
        self.asked_after: list[int] = []
        self.answers: list[bytes] = []
        self.tamper: Callable[[bytes], bytes] = bytes
        self._api = api

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Ask the api what the listener asks, and answer with what this man makes of it."""
        answer = self._api.request(method, path, headers=headers, content=body)
        if "/changes" not in path or answer.status_code != httpx.codes.OK:
            return answer
        self.asked_after.append(int(parse_qs(urlsplit(path).query)["after"][0]))
        self.answers.append(answer.content)
        return httpx.Response(answer.status_code, content=self.tamper(answer.content))


@contextlib.contextmanager
def standing_before(url: str) -> Iterator[ManInTheMiddle]:
    """Stand before the api at `url`."""
    with httpx.Client(base_url=url, headers={"Accept-Encoding": "identity"}, timeout=10) as api:
        man = ManInTheMiddle(api)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                headers = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = man.pass_on(self.command, self.path, headers, body)
                self.send_response(answer.status_code)
                if answer.status_code != httpx.codes.NO_CONTENT:
                    self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            man.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield man
            finally:
                server.shutdown()
                thread.join()
