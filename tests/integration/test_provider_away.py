"""An OpenID provider that publishes its keys over HTTP, and is not always there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.openid_provider import AUDIENCE, ISSUER, Signer, jwks
from tests.redis_server import RedisServer
from tests.served_api import ADMIN, add_environment, served


class Published:
    """What the provider answers; None: an error."""

    keys: bytes | None = None


@contextmanager
def publishing(published: Published) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if published.keys is None else 200)
            self.end_headers()
            self.wfile.write(published.keys or b"")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_api_serves_while_its_provider_is_away_and_takes_its_tokens_once_it_is_there(
    sqlite_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_environment(sqlite_url, "other")
    signer, published = Signer.of("ES256"), Published()
    with publishing(published) as keys:
        settings = {"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "ALGORITHM": "ES256", "TENANT": "carbon.super"}
        more = {f"TRUSTCAST_OIDC_{name}": value for name, value in (settings | {"JWKS_URL": keys}).items()}
        with served(tmp_path, sqlite_url, redis_server.url, more) as api:
            away = api.ask("GET", "/v1/certificates", as_=signer.token())
            others = api.ask("GET", "/v1/certificates", as_=ADMIN)
            published.keys = jwks(signer.jwk())
            until = time.monotonic() + 5
            while (there := api.ask("GET", "/v1/certificates", as_=signer.token())).status_code == 503:
                assert time.monotonic() < until
                time.sleep(0.05)
            published.keys = None
            again = api.ask("GET", "/v1/certificates", as_=signer.token())

    assert (away.status_code, away.json()["code"]) == (503, "identity_provider_unavailable")
    assert "retry-after" in away.headers
    assert (others.status_code, there.status_code, again.status_code) == (200, 200, 200)
