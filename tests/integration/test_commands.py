"""`trustcast tokens` and `trustcast environments` against a running api."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import Done, Trustcast, trustcast
from tests.served_api import ServedApi, token
from trustcast.storage import audit

__all__ = ["trustcast"]

XML = """<APIManager><APIGateway><Environments>
    <Environment type="hybrid"><Name>Production and Sandbox</Name><Description>Both</Description>
        <Username>admin</Username><Password>geheim</Password></Environment>
    <Environment type="sandbox"><Name>other</Name></Environment>
    <Environment type="production"><Name>Production EU</Name></Environment>
</Environments></APIGateway></APIManager>"""


def told(api: ServedApi) -> dict[str, str]:
    """The settings with which a command finds the api."""
    return {"api_url": api.url, "token_file": str(api.folder / "admin.token")}


def create(trustcast: Trustcast, api: ServedApi, *more: str, scope: str = "apim:ep_certificates_view") -> Done:
    return trustcast("tokens", "create", "--name", "pipeline", "--scope", scope, "--expires", "30d", *more, **told(api))


def token_id(done: Done) -> str:
    found = re.match(r"Token (\S+) of carbon.super, until ", done.stderr)
    assert found is not None
    return found[1]


def tokens(api: ServedApi) -> int:
    total: int = api.ask("GET", "/v1/tokens").json()["total"]
    return total


def test_token_is_alone_on_stdout_and_opens_what_its_scopes_say(trustcast: Trustcast, api: ServedApi) -> None:
    done = create(trustcast, api, "--prefix", "Team-", "--prefix", "x-")
    made = api.ask("GET", f"/v1/tokens/{token_id(done)}").json()

    assert done.status == 0
    assert re.fullmatch(r"tc_[\w-]{43}\n", done.stdout)
    assert api.ask("GET", "/v1/certificates", as_=done.stdout.strip()).status_code == 200
    assert api.ask("GET", "/v1/tokens", as_=done.stdout.strip()).status_code == 403
    assert (made["name"], made["scopes"]) == ("pipeline", ["apim:ep_certificates_view"])
    assert made["alias_prefixes"] == ["team-", "x-"]


def test_only_the_hash_of_a_token_is_sent(trustcast: Trustcast, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("admin\n")
    with answering(500, b"{}") as (url, received):
        done = trustcast(
            *("tokens", "create", "--name", "x", "--scope", "y", "--expires", "1d", "--output", str(tmp_path / "new")),
            api_url=url,
            token_file=str(tmp_path / "token"),
        )

    assert done.status == 1
    assert b"tc_" not in b"".join(received)
    assert re.search(rb'"token_sha256": ?"[0-9a-f]{64}"', received[0])
    assert not (tmp_path / "new").exists()


def test_token_in_a_file_is_its_owners_only(trustcast: Trustcast, api: ServedApi, tmp_path: Path) -> None:
    path = tmp_path / "token"

    done = create(trustcast, api, "--output", str(path))

    assert (done.status, done.stdout) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() not in done.stderr
    assert api.ask("GET", "/v1/certificates", as_=path.read_text().strip()).status_code == 200


def test_file_that_is_there_is_kept_and_no_token_is_made(trustcast: Trustcast, api: ServedApi, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("mine")
    before = tokens(api)

    done = create(trustcast, api, "--output", str(path))

    assert (done.status, done.stderr) == (1, f"{path} is there already; name another file, or remove it.\n")
    assert (path.read_text(), tokens(api)) == ("mine", before)


def test_every_field_at_fault_is_told_at_once(trustcast: Trustcast, api: ServedApi, tmp_path: Path) -> None:
    path = tmp_path / "token"

    done = create(trustcast, api, "--tenant", "nowhere.example", "--output", str(path), scope="nonsense")

    assert (done.status, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "There is no tenant of this domain" in done.stderr
    assert "The scopes are " in done.stderr
    assert done.stderr.endswith("(invalid_request)\n")
    assert not path.exists()


def test_revoked_token_is_listed_and_opens_nothing(trustcast: Trustcast, api: ServedApi) -> None:
    made = create(trustcast, api)

    revoked = trustcast("tokens", "revoke", token_id(made), **told(api))
    listed = trustcast("tokens", "list", **told(api))

    [line] = [line for line in listed.stdout.splitlines() if token_id(made) in line]
    assert (revoked.status, listed.status) == (0, 0)
    assert line.split("\t")[1:4] == ["pipeline", "carbon.super", "apim:ep_certificates_view"]
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.search(rf"\t{moment}\trevoked {moment}$", line)
    assert api.ask("GET", "/v1/certificates", as_=made.stdout.strip()).status_code == 401
    assert hashlib.sha256(made.stdout.strip().encode()).hexdigest() not in listed.stdout


def test_token_past_its_end_is_marked(trustcast: Trustcast, tmp_path: Path) -> None:
    token: dict[str, object] = {"id": "7c9e6679", "name": "old", "tenant": "carbon.super"}
    token |= {"scopes": [], "alias_prefixes": None, "expires_at": "2020-01-01T00:00:00.000Z", "revoked_at": None}
    (tmp_path / "token").write_text("tc_x")

    with answering(200, json.dumps({"tokens": [token], "total": 1}).encode()) as (url, _):
        done = trustcast("tokens", "list", api_url=url, token_file=str(tmp_path / "token"))

    assert done.stdout.splitlines()[1] == "7c9e6679\told\tcarbon.super\t\tany alias\t2020-01-01T00:00:00Z\texpired"


def test_token_is_revoked_by_the_beginning_of_its_id(trustcast: Trustcast, api: ServedApi) -> None:
    made = create(trustcast, api)

    done = trustcast("tokens", "revoke", token_id(made)[:8].upper(), **told(api))

    assert (done.status, done.stderr) == (0, "The token is revoked.\n")
    assert api.ask("GET", "/v1/certificates", as_=made.stdout.strip()).status_code == 401


@pytest.mark.parametrize(("given", "said"), [("1234567", "at least its first 8"), ("no-such-", "No token's id begins")])
def test_beginning_that_names_no_token_revokes_none(
    trustcast: Trustcast, api: ServedApi, given: str, said: str
) -> None:
    made = create(trustcast, api)

    done = trustcast("tokens", "revoke", given, **told(api))

    assert done.status == 1
    assert said in done.stderr
    assert api.ask("GET", "/v1/certificates", as_=made.stdout.strip()).status_code == 200


def test_unknown_token_cannot_be_revoked(trustcast: Trustcast, api: ServedApi) -> None:
    done = trustcast("tokens", "revoke", f"../environments/{'x' * 36}", **told(api))

    assert done.status == 1
    assert "not_found)" in done.stderr


@pytest.mark.parametrize("expires", ["soon", "30", "d", "-1d", "2027-13-01", "99999w"])
def test_moment_that_is_none_is_refused_before_anything_is_sent(
    trustcast: Trustcast, api: ServedApi, expires: str
) -> None:
    before = tokens(api)

    done = create(trustcast, api, "--expires", expires)

    assert (done.status, tokens(api)) == (1, before)
    assert len(done.stderr.splitlines()) == 1


def test_environments_come_over_once(trustcast: Trustcast, fresh_api: ServedApi, tmp_path: Path) -> None:
    path = tmp_path / "api-manager.xml"
    path.write_text(XML)
    fresh_api.ask("PUT", "/v1/environments/Production EU", json={"type": "sandbox", "description": ""})

    first = trustcast("environments", "import", str(path), **told(fresh_api))
    after_first = fresh_api.ask("GET", "/v1/environments").json()
    tail = tail_of(fresh_api)
    second = trustcast("environments", "import", str(path), **told(fresh_api))

    types = {one["name"]: (one["type"], one["description"]) for one in after_first["environments"]}
    assert types == {
        "default": ("hybrid", ""),
        "other": ("sandbox", ""),
        "Production and Sandbox": ("hybrid", "Both"),
        "Production EU": ("production", ""),
    }
    assert became(first) == {
        "Production and Sandbox": "created",
        "other": "left as it is",
        "Production EU": "changed, it was sandbox",
    }
    assert set(became(second).values()) == {"left as it is"}
    assert tail_of(fresh_api) == tail
    assert "geheim" not in first.stdout + first.stderr


def tail_of(api: ServedApi) -> audit.Tail:
    """The end of the audit chain: whatever changes something moves it."""
    with api.database.reading() as transaction:
        return audit.tail(transaction)


def became(done: Done) -> dict[str, str]:
    """What the table says of each environment."""
    assert (done.status, done.stderr) == (0, "")
    cells = [line.split("\t") for line in done.stdout.splitlines()]
    return {line[0]: line[2] for line in cells if len(line) == 3 and line[0] != "environment"}


def test_environment_that_the_api_refuses_does_not_hold_up_the_others(
    trustcast: Trustcast, fresh_api: ServedApi, tmp_path: Path
) -> None:
    path = tmp_path / "api-manager.xml"
    path.write_text(XML.replace("Production and Sandbox", "[red]/../*"))

    done = trustcast("environments", "import", str(path), **told(fresh_api))

    assert (done.status, done.stderr) == (1, "1 of 3 environments did not come over.\n")
    assert "[red]/../*" in done.stdout
    assert "refused: " in done.stdout
    assert fresh_api.ask("GET", "/v1/environments/Production EU").status_code == 200


def test_gateways_token_makes_no_environment(trustcast: Trustcast, fresh_api: ServedApi, tmp_path: Path) -> None:
    (tmp_path / "api-manager.xml").write_text(XML)
    (tmp_path / "token").write_text(token("g1"))

    done = trustcast(
        "environments",
        "import",
        str(tmp_path / "api-manager.xml"),
        api_url=fresh_api.url,
        token_file=str(tmp_path / "token"),
    )

    assert (done.status, done.stdout) == (1, "")
    assert "(forbidden)" in done.stderr


def test_token_that_the_api_does_not_know_is_told_with_its_option(
    trustcast: Trustcast, api: ServedApi, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("nobody's\n")

    done = trustcast("tokens", "list", "--api-url", api.url, "--token-file", str(tmp_path / "token"))

    assert done.status == 1
    assert "--token-file or TRUSTCAST_TOKEN_FILE" in done.stderr
    assert "nobody's" not in done.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b"a\nb", "one word"), (b"\xff", "it is not text")],
)
def test_token_file_that_cannot_be_used_is_named(
    trustcast: Trustcast, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    done = trustcast("tokens", "list", token_file=str(path))

    assert done.status == 1
    assert str(path) in done.stderr
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:1", "does not answer: Connection refused."),
        ("localhost:8080", "has to look like http://127.0.0.1:8080"),
        ("ftp://localhost", "has to look like"),
        ("http://", "has to look like"),
        ("http://127.0.0.1:api", "has to look like"),
    ],
)
def test_address_without_an_api_is_told(trustcast: Trustcast, tmp_path: Path, url: str, sentence: str) -> None:
    (tmp_path / "token").write_text("x")

    done = trustcast("tokens", "list", api_url=url, token_file=str(tmp_path / "token"))

    assert done.status == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("status", "body"), [(502, b"<html>Bad Gateway"), (302, b""), (404, b"[]"), (500, b"{}")])
def test_something_else_than_the_api_is_told_by_its_status(
    trustcast: Trustcast, tmp_path: Path, status: int, body: bytes
) -> None:
    (tmp_path / "token").write_text("x")
    with answering(status, body) as (url, _):
        done = trustcast("tokens", "list", api_url=url, token_file=str(tmp_path / "token"))

    assert done.status == 1
    assert f"answered {status}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Something that answers every request so; the second value is what it received."""
    received: list[bytes] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()
