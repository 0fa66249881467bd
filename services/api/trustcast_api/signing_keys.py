"""The keys that an OpenID provider signs with: which ones of its JWK Set (RFC 7517) count, and how they stay fresh."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = structlog.get_logger("trustcast.api")

MAX_BYTES = 256 * 1024  # of a JWK Set
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192  # RFC 7518, section 3.3; above, a signature costs more than it proves
_KEY_TYPE = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVE = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_ALSO_CALLED = {"EdDSA": "Ed25519"}  # RFC 9864
_NO_KID = object()

Keys = dict[object, jwt.PyJWK]


def usable(jwks: bytes, algorithm: str) -> Keys:
    """Return the keys of a JWK Set that may verify signatures of `algorithm`, by key id.

    A set may hold keys for other purposes; they are left out, and so is a key with a private half: whoever can read
    that can sign. Of two keys with one id the first counts. Raises `ValueError` for what is no JWK Set, or when no
    key is left.
    """
    if len(jwks) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        listed = json.loads(jwks)["keys"]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise ValueError("it is no JWK Set") from None
    found: Keys = {}
    for jwk in listed if isinstance(listed, list) else []:
        if isinstance(jwk, dict) and _is_for(jwk, algorithm) and (key := _parsed(jwk, algorithm)) is not None:
            found.setdefault(jwk.get("kid", _NO_KID), key)
    if not found:
        raise ValueError(f"it holds no usable public key for {algorithm}")
    return found


def _is_for(jwk: Mapping[str, Any], algorithm: str) -> bool:
    return (
        jwk.get("kty") == _KEY_TYPE[algorithm[:2]]
        and isinstance(jwk.get("kid", ""), str)
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations := jwk.get("key_ops", ["verify"]), list)
        and "verify" in operations
        and jwk.get("alg", algorithm) in (algorithm, _ALSO_CALLED.get(algorithm, algorithm))
        and "d" not in jwk
    )


def _parsed(jwk: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(jwk, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(key.key, RSAPublicKey) and not _MIN_RSA_BITS <= key.key.key_size <= _MAX_RSA_BITS:
        return None
    if isinstance(key.key, EllipticCurvePublicKey) and key.key.curve.name != _CURVE[algorithm]:
        return None
    return key


async def fetch(url: str, *, seconds: float = 5.0) -> bytes:
    """Return what `url` answers, asked for at most `seconds`, no redirects followed.

    Raises `httpx.HTTPError`, `TimeoutError`, `ValueError` for an answer that is too large.
    """
    # The proxy of the environment is for what is far away.
    client = httpx.AsyncClient(trust_env=url.startswith("https:"), headers={"Accept-Encoding": "identity"})
    async with asyncio.timeout(seconds), client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        read = b""
        async for part in answer.aiter_raw():
            read += part
            if len(read) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return read


class SigningKeys:
    """The provider's keys for `algorithm`, as `read` gives them; one that is away keeps the keys it had.

    A token with an unknown key id lets us look again, at most every `REFETCH_SECONDS`. What the provider withdrew is
    noticed `OLD_AFTER_SECONDS` after it was read, without keeping anybody waiting; where nobody has asked for twice as
    long, before the next one is answered. Keys that could not be read anew for `LOST_AFTER_SECONDS`, a day, are good
    for nothing: nobody knows which of them were withdrawn.
    """

    REFETCH_SECONDS = 30.0
    OLD_AFTER_SECONDS = 300.0
    LOST_AFTER_SECONDS = 86400.0
    _HAVING_NONE_SECONDS = 1.0

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        algorithm: str,
        *,
        known: Keys | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._algorithm = algorithm
        self._clock = clock
        self._known: Keys = known or {}
        self._looked_at = self._read_at = clock() if known else float("-inf")
        self._failed = False
        self._looking = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key with this id, None if there is none; without an id, the only key there is.

        Raises `Unavailable("identity_provider_unavailable")` as long as no key is known at all, or none for certain.
        """
        await self._look_again(2 * self.OLD_AFTER_SECONDS if self._count() else self._HAVING_NONE_SECONDS)
        if not self._count():
            raise Unavailable("identity_provider_unavailable", "The OpenID provider's signing keys cannot be read.")
        if self._find(kid) is None:
            await self._look_again(self.REFETCH_SECONDS)
        else:
            self._look_again_meanwhile()
        return self._find(kid)

    def _count(self) -> bool:
        return bool(self._known) and self._clock() - self._read_at < self.LOST_AFTER_SECONDS

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is not None:
            return self._known.get(kid)
        return next(iter(self._known.values())) if len(self._known) == 1 else None

    def _look_again_meanwhile(self) -> None:
        pause = self.REFETCH_SECONDS if self._failed else self.OLD_AFTER_SECONDS
        if self._is_older(pause) and not self._looking.locked():
            self._background = asyncio.create_task(self._look_again(pause))

    def _is_older(self, seconds: float) -> bool:
        return self._clock() - self._looked_at >= seconds

    async def _look_again(self, older_than: float) -> None:
        """Read the keys, unless somebody has tried to in the last `older_than` seconds."""
        if not self._is_older(older_than):
            return
        async with self._looking:
            if not self._is_older(older_than):
                return
            self._failed = True
            try:
                self._known = usable(await self._read(), self._algorithm)
                self._read_at, self._failed = self._clock(), False
            except (OSError, httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
                log.warning("signing_keys_unreadable", reason=str(error) or type(error).__name__)
            finally:
                self._looked_at = self._clock()
