"""An OpenID provider's keys and tokens: good ones by default, and anything else on request."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ISSUER, AUDIENCE = "https://id.example", "trustcast"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a good token, some of them changed; Ellipsis takes one away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "jane",
        "iat": now,
        "nbf": now,
        "exp": now + 86_400,  # an attack that was made when tests were collected must not fail for its age alone
        "scope": "openid apim:api_view",
    }
    return {name: value for name, value in (good | changed).items() if value is not ...}


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """A key of this size, the same for the same `number`."""
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Signer:
    """A private key with a name, and the algorithm it signs with."""

    algorithm: str
    key: Any
    kid: str = "k1"

    @classmethod
    def of(cls, algorithm: str, kid: str = "k1", *, number: int = 0) -> Signer:
        """A signer with a key that fits the algorithm."""
        if algorithm in _CURVES:
            return cls(algorithm, ec.generate_private_key(_CURVES[algorithm]()), kid)
        return cls(
            algorithm, ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa_key(number=number), kid
        )

    def jwk(self, **changed: Any) -> dict[str, Any]:
        """The public key as a provider publishes it, some members changed; Ellipsis takes one away."""
        public: dict[str, Any] = get_default_algorithms()[self.algorithm].to_jwk(self.key.public_key(), as_dict=True)
        published = public | {"kid": self.kid, "use": "sig", "alg": self.algorithm, "key_ops": ...} | changed
        return {name: value for name, value in published.items() if value is not ...}

    def leaked(self, kid: str) -> dict[str, Any]:
        """The whole key, as no provider should publish it."""
        private: dict[str, Any] = get_default_algorithms()[self.algorithm].to_jwk(self.key, as_dict=True)
        return private | {"kid": kid, "alg": self.algorithm, "key_ops": ["sign", "verify"]}

    def header(self, **changed: Any) -> dict[str, Any]:
        """The header of a good token, some members changed; Ellipsis takes one away."""
        good = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"} | changed
        return {name: value for name, value in good.items() if value is not ...}

    def sign(self, header: bytes, body: bytes) -> str:
        """Sign these bytes, whatever they are."""
        signing_input = f"{b64(header)}.{b64(body)}"
        return f"{signing_input}.{b64(self.signature(signing_input))}"

    def signature(self, signing_input: str) -> bytes:
        """The bare signature over these characters."""
        made: bytes = get_default_algorithms()[self.algorithm].sign(signing_input.encode(), self.key)
        return made

    def token(self, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A good token, with some claims and some of its header changed."""
        head = json.dumps(self.header(**(header or {}))).encode()
        return self.sign(head, json.dumps(claims(**changed)).encode())


def jwks(*keys: dict[str, Any]) -> bytes:
    """A JWK Set of these keys."""
    return json.dumps({"keys": list(keys)}).encode()
