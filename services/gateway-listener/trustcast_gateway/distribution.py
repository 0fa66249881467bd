"""The api's distribution routes as one gateway sees them: ask for changes, report what is installed.

An answer is checked for its form and its size here; what it says is trusted only after `refresh` has verified it.
"""

from __future__ import annotations

import json
import ssl
import time
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import quote

import httpx
import pydantic.dataclasses
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustcast.domain.errors import Unavailable, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# 10,000 certificates of 2 KB are 27 MB in base64.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_DETAIL = 1000  # what the api takes of a report's sentence
TIMEOUT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
_BASE64 = ConfigDict(val_json_bytes="base64")
_INFLATE_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
T = TypeVar("T")


class ApiUnavailable(Unavailable):
    """The api is not there, or does not take what we say."""


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=_BASE64)
class Put:
    """`put alias certificate`: the certificate is DER, base64 on the wire."""

    change: Literal["put"]
    alias: str
    certificate: bytes


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class Remove:
    """`remove alias`."""

    change: Literal["remove"]
    alias: str


class Changes(BaseModel):
    """The net change from generation `after` to the head's; `head` is a DSSE envelope, None before generation 1."""

    model_config = ConfigDict(frozen=True) | _BASE64
    head: dict[str, Any] | None
    after: int
    changes: list[Annotated[Put | Remove, Field(discriminator="change")]]

    def envelope(self) -> bytes:
        """Return the head's envelope as JSON, or nothing."""
        return b"" if self.head is None else json.dumps(self.head, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Report:
    """What a gateway tells: generation and digest read back from its disk. `code` and `detail` go with `failed`."""

    environment: str
    generation: int
    entries_sha256: str | None
    phase: Literal["installed", "loaded", "failed"]
    code: str | None = None
    detail: str | None = None


class Distribution:
    """One kept-alive connection to the api, in the name of one gateway of one environment."""

    def __init__(
        self, client: httpx.Client, *, gateway: str, environment: str, most_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._client = client
        self._most_bytes = most_bytes
        self._changes = f"/v1/environments/{quote(environment, safe='')}/changes"
        self._reports = f"/v1/gateways/{quote(gateway, safe='')}/reports"

    def changes(self, after: int) -> Changes:
        """Ask what happened since generation `after`; 0 asks for everything.

        Raises `ApiUnavailable` (`api_unreachable`, `api_refused`, `api_failed`, `api_slow`) or
        `Untrusted` (`answer_too_large`, `answer_malformed`).
        """
        body = _answered(lambda: self._asked(after))
        try:
            return Changes.model_validate_json(body)
        except ValidationError:
            raise Untrusted("answer_malformed", "The api's changes are not in the agreed form.") from None

    def report(self, report: Report) -> None:
        """Tell the api. Raises `Unavailable` as `changes` does."""
        _answered(lambda: self._told(report))

    def _asked(self, after: int) -> bytearray:
        with self._client.stream("GET", self._changes, params={"after": after}) as answer:
            _check(answer.status_code)
            return _body(answer, self._most_bytes)

    def _told(self, report: Report) -> None:
        with self._client.stream("POST", self._reports, json=asdict(report)) as answer:
            _check(answer.status_code)


def connect(url: str, *, token: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client for the api at `url` that trusts the system's CAs and follows neither proxies nor redirects."""
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip", "Accept": "application/json"},
        timeout=TIMEOUT_SECONDS,
        limits=httpx.Limits(keepalive_expiry=120.0),
        verify=ssl.create_default_context(),
        trust_env=False,
        transport=transport,
    )


def _answered(ask: Callable[[], T]) -> T:
    """Call `ask`, once more if the api had closed the idle connection; doing it twice does no harm."""
    try:
        try:
            return ask()
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return ask()
    except httpx.HTTPError as error:
        raise ApiUnavailable(
            "api_unreachable", f"The api does not answer: {str(error) or type(error).__name__}."
        ) from None


def _check(status: int) -> None:
    if status in {401, 403}:
        raise ApiUnavailable(
            "api_refused", f"The api refuses this gateway's token for its environment (HTTP {status})."
        )
    if not httpx.codes.is_success(status):
        raise ApiUnavailable("api_failed", f"The api answers HTTP {status}.")


def _body(answer: httpx.Response, most_bytes: int) -> bytearray:
    """Read and inflate, counting the bytes that come out: a small gzip may hold a very large answer."""
    body = bytearray()
    until = time.monotonic() + ANSWER_SECONDS
    for piece in _inflated(answer):
        body += piece
        if len(body) > most_bytes:
            raise Untrusted("answer_too_large", f"The api's changes are larger than {most_bytes} bytes.")
        if time.monotonic() > until:
            raise ApiUnavailable("api_slow", f"The api's changes take longer than {ANSWER_SECONDS:.0f} s.")
    return body


def _inflated(answer: httpx.Response) -> Iterator[bytes]:
    if answer.headers.get("Content-Encoding", "identity") == "identity":
        yield from answer.iter_raw()
        return
    gzip = zlib.decompressobj(_GZIP)
    try:
        for piece in answer.iter_raw():
            yield gzip.decompress(piece, _INFLATE_BYTES)
            while gzip.unconsumed_tail:
                yield gzip.decompress(gzip.unconsumed_tail, _INFLATE_BYTES)
    except zlib.error:
        raise Untrusted("answer_malformed", "The api's changes are not the gzip that they claim to be.") from None
