"""The api as the command line asks it: whatever is wrong becomes one sentence for the person at the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from trustcast_cli import options
from trustcast_cli.errors import CannotRun

PAGE = 1000
# An answer may be waited for (`Prefer: wait=30`), a connection may not.
_TIMEOUT = httpx.Timeout(60, connect=5)
# A proxy of the person's own is for the world outside.
_DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}


@contextmanager
def connected(api_url: str, token_file: Path) -> Iterator[httpx.Client]:
    """Give a client that sends the token of `token_file`.

    Raises `CannotRun` for an address or a token that cannot be used.
    """
    headers = {"Authorization": f"Bearer {_token(token_file)}"}
    with httpx.Client(base_url=_address(api_url), headers=headers, timeout=_TIMEOUT, mounts=_DIRECT) as client:
        yield client


def ask(client: httpx.Client, method: str, path: str, **what: Any) -> httpx.Response:
    """Send a request and return the answer, a good one. Raises `CannotRun` with what the api said instead."""
    try:
        answer = client.request(method, path, **what)
    except httpx.TimeoutException:
        raise CannotRun(f"The api at {client.base_url} does not answer in time.") from None
    except httpx.HTTPError as error:
        raise CannotRun(f"The api at {client.base_url} does not answer: {_reason(error)}.") from None
    if not answer.is_success:
        raise CannotRun(problem(answer))
    return answer


def pages(client: httpx.Client, path: str, of: str, headers: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Give every item of a list that comes in pages, `of` being its name in the answer. Raises `CannotRun`."""
    offset, total = 0, 1
    while offset < total:
        page = ask(client, "GET", path, params={"limit": PAGE, "offset": offset}, headers=headers).json()
        yield from page[of]
        offset, total = offset + PAGE, page["total"]


def problem(answer: httpx.Response) -> str:
    """Return what an answer that is no success says, in one sentence, with the stable code."""
    try:
        body = answer.json()
        code, details = body["code"], [_told(one) for one in body["errors"]] or [body["detail"]]
    except (ValueError, KeyError, TypeError):  # something else than the api: a proxy, say
        return f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}.".replace(" .", ".")
    if code == "unauthenticated":
        details = [f"The api does not know this token. Name another with --token-file or {options.TOKEN_FILE}."]
    return f"{' '.join(details)} ({code})"


def _told(error: Mapping[str, str | None]) -> str:
    """What is wrong with any field says nothing without the field."""
    named = f"{error['field']}: " if error["field"] and str(error["code"]).startswith("field_") else ""
    return f"{named}{error['detail']}"


def _address(api_url: str) -> str:
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise CannotRun(f"The api's address has to look like {options.DEFAULT_API_URL}, not {api_url!r}.")
    return api_url


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CannotRun(
            f"The token file {path} cannot be read: {reason}. Name another with --token-file or {options.TOKEN_FILE}."
        ) from None
    if not token:
        raise CannotRun(f"The token file {path} is empty.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CannotRun(f"The token file {path} has to hold one word of ASCII characters.")
    return token


def _reason(error: httpx.HTTPError) -> str:
    """Return the operating system's words; httpx puts "[Errno 111]" before them."""
    return str(error).partition("] ")[2] or str(error) or type(error).__name__
