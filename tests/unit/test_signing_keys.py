"""A provider's keys: which ones count, when we look again, and what becomes of them while the provider is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.openid_provider import ALGORITHMS, Signer, b64, jwks
from trustcast.domain.errors import Unavailable
from trustcast_api import signing_keys
from trustcast_api.signing_keys import SigningKeys, usable

ONE, TWO = Signer.of("ES256", "one"), Signer.of("ES256", "two")


class Provider:
    """What it publishes, how often it was asked, and the time."""

    def __init__(self, *signers: Signer) -> None:
        self.published = [one.jwk() for one in signers]
        self.asked = 0
        self.away = False
        self.at = 0.0

    async def read(self) -> bytes:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("nobody there")
        return jwks(*self.published)

    def keys(self) -> SigningKeys:
        return SigningKeys(self.read, "ES256", clock=lambda: self.at)


async def knows(keys: SigningKeys, kid: str) -> bool:
    return await keys.find(kid) is not None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_key_of_the_algorithm_counts(algorithm: str) -> None:
    signer = Signer.of(algorithm)

    assert set(usable(jwks(signer.jwk(), signer.jwk(kid="k2", use=..., alg=...)), algorithm)) == {"k1", "k2"}


@pytest.mark.parametrize(
    "jwk",
    [
        Signer.of("RS256").jwk(alg="ES256"),
        Signer("ES384", ec.generate_private_key(ec.SECP384R1())).jwk(alg="ES256"),
        ONE.jwk(use="enc"),
        ONE.jwk(use=["sig"]),
        ONE.jwk(alg="ES384"),
        ONE.jwk(alg=["ES256"]),
        ONE.jwk(key_ops=["sign"]),
        ONE.jwk(key_ops="verify"),
        ONE.jwk(key_ops=1),
        ONE.jwk(kid=1),
        ONE.jwk(kid=None),
        ONE.jwk(crv=...),
        ONE.jwk(x="AAAA"),
        ONE.jwk(x=1),
        ONE.jwk(y=ONE.jwk()["x"]),
        ONE.leaked("one"),
        {"kty": "oct", "k": "AAAA", "kid": "one", "alg": "ES256"},
        {},
    ],
)
def test_key_for_something_else_is_left_out(jwk: dict[str, Any]) -> None:
    assert set(usable(jwks(jwk, TWO.jwk()), "ES256")) == {"two"}


@pytest.mark.parametrize("bits", [1024, 2047, 8193])
def test_rsa_key_that_is_too_weak_or_too_slow_is_left_out(bits: int) -> None:
    modulus = (2 ** (bits - 1) + 1).to_bytes((bits + 7) // 8, "big")

    with pytest.raises(ValueError, match="no usable public key for RS256"):
        usable(jwks(Signer.of("RS256").jwk(n=b64(modulus))), "RS256")


@pytest.mark.parametrize("bits", [2048, 8192])
def test_rsa_key_of_a_good_size_counts(bits: int) -> None:
    modulus = (2 ** (bits - 1) + 1).to_bytes((bits + 7) // 8, "big")

    assert usable(jwks(Signer.of("RS256").jwk(n=b64(modulus))), "RS256")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1]}', b"[" * 100_000, b"\xff\xfe"],
)
def test_what_is_no_set_of_keys_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        usable(content, "ES256")


def test_keys_are_read_when_the_first_token_comes() -> None:
    provider = Provider(ONE)

    async def story() -> list[bool]:
        keys = provider.keys()
        assert provider.asked == 0
        return [await knows(keys, "one"), await knows(keys, "one")]

    assert (asyncio.run(story()), provider.asked) == ([True, True], 1)


def test_unknown_key_lets_us_look_again_but_not_at_once() -> None:
    provider = Provider(ONE)

    async def story() -> list[bool]:
        keys = provider.keys()
        found = [await knows(keys, "one")]
        provider.published.append(TWO.jwk())
        for provider.at in (0, 29.9, 30, 30, 59, 60):
            found += [await knows(keys, "two"), await knows(keys, "nobody's")]
        return found

    assert asyncio.run(story()) == [True, *([False] * 4), *([True, False] * 4)]
    assert provider.asked == 3


def test_many_unknown_keys_at_once_are_one_question() -> None:
    provider = Provider(ONE)

    async def story() -> list[bool]:
        keys = provider.keys()
        return await asyncio.gather(*(knows(keys, f"k{number}") for number in range(50)))

    assert (set(asyncio.run(story())), provider.asked) == ({False}, 1)


def test_provider_that_is_away_keeps_its_keys() -> None:
    provider = Provider(ONE)

    async def story() -> list[bool]:
        keys = provider.keys()
        found = [await knows(keys, "one")]
        provider.away = True
        for provider.at in (1000, 2000, 3000):
            found += [await knows(keys, "one"), await knows(keys, "two")]
        return found

    assert asyncio.run(story()) == [True, *([True, False] * 3)]


def test_provider_that_was_never_there_is_unavailable_and_asked_again_soon() -> None:
    provider = Provider(ONE)
    provider.away = True

    async def story() -> bool:
        keys = provider.keys()
        for _ in range(3):
            with pytest.raises(Unavailable, match="signing keys cannot be read"):
                await keys.find("one")
        assert provider.asked == 1
        provider.away, provider.at = False, 1.0
        return await knows(keys, "one")

    assert asyncio.run(story())


def test_withdrawn_key_is_noticed_without_keeping_anybody_waiting() -> None:
    provider = Provider(ONE, TWO)

    async def story() -> list[bool]:
        keys = provider.keys()
        found = [await knows(keys, "one")]
        provider.published = [TWO.jwk()]
        for provider.at in (299, 300):
            found.append(await knows(keys, "one"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return [*found, await knows(keys, "one"), await knows(keys, "two")]

    assert asyncio.run(story()) == [True, True, True, False, True]


def test_withdrawn_key_is_not_taken_after_a_long_silence() -> None:
    provider = Provider(ONE, TWO)

    async def story() -> list[bool]:
        keys = provider.keys()
        found = [await knows(keys, "one")]
        provider.published, provider.at = [TWO.jwk()], 600
        return [*found, await knows(keys, "one"), await knows(keys, "two")]

    assert asyncio.run(story()) == [True, False, True]
    assert provider.asked == 2


def test_keys_that_were_not_read_for_a_day_are_good_for_nothing() -> None:
    provider = Provider(ONE)

    async def story() -> list[bool]:
        keys = provider.keys()
        found = [await knows(keys, "one")]
        provider.away, provider.at = True, 86_399
        found.append(await knows(keys, "one"))
        provider.at = 86_400
        with pytest.raises(Unavailable) as refused:
            await keys.find("one")
        assert refused.value.code == "identity_provider_unavailable"
        provider.away, provider.at = False, 86_401
        return [*found, await knows(keys, "one")]

    assert asyncio.run(story()) == [True, True, True]


def test_provider_that_was_away_is_asked_again_soon() -> None:
    provider = Provider(ONE, TWO)

    async def story() -> list[bool]:
        keys, found = provider.keys(), []
        await keys.find("one")
        for provider.at, provider.away in ((300, True), (329, False), (330, False), (331, False)):
            provider.published = [TWO.jwk()]
            found.append(await knows(keys, "one"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return found

    assert asyncio.run(story()) == [True, True, True, False]


def test_set_that_became_unusable_keeps_the_keys_we_have() -> None:
    provider = Provider(ONE)

    async def story() -> bool:
        keys = provider.keys()
        await keys.find("one")
        provider.published, provider.at = [], 30
        await keys.find("two")
        return await knows(keys, "one")

    assert asyncio.run(story())


@contextmanager
def answering(answer: bytes, *, slowly: float = 0) -> Iterator[str]:
    """A provider that answers with these bytes and closes, one by one with `slowly` seconds in between."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                for part in [answer] if not slowly else [answer[at : at + 1] for at in range(len(answer))]:
                    self.wfile.write(part)
                    self.wfile.flush()
                    time.sleep(slowly)
            except OSError:
                """It has heard enough."""

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_keys_are_fetched() -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\n" + jwks(ONE.jwk())) as url:
        assert set(usable(asyncio.run(signing_keys.fetch(url)), "ES256")) == {"one"}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 302 Found\r\nLocation: /elsewhere\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n\r\n",
        b"HTTP/1.0 500 Oops\r\n\r\n" + jwks(ONE.jwk()),
        b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (signing_keys.MAX_BYTES + 1),
        b"not HTTP\r\n\r\n",
        b"",
    ],
    ids=["redirect", "not found", "error", "too large", "rubbish", "nothing"],
)
def test_other_answers_are_refused(answer: bytes) -> None:
    with answering(answer) as url, pytest.raises((httpx.HTTPError, ValueError)):
        asyncio.run(signing_keys.fetch(url))


def test_answer_that_never_ends_is_not_waited_for() -> None:
    began = time.monotonic()

    with answering(b"HTTP/1.0 200 OK\r\n\r\n" + b" " * 50, slowly=0.02) as url, pytest.raises(TimeoutError):
        asyncio.run(signing_keys.fetch(url, seconds=0.3))
    assert time.monotonic() - began < 2
