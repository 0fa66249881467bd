"""Tokens of an OpenID provider: what one has to be before it says who somebody is (RFC 7519, RFC 8725).

PyJWT checks the signature and the registered claims. Before that, a token has to have the one form that a provider
gives it: three canonical base64url parts, JSON without repeated members, no header that brings a key along or asks for
what we do not do. Nothing inside a token chooses the algorithm or the key's source.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from starlette.concurrency import run_in_threadpool

from trustcast.settings import SettingsError
from trustcast_api import signing_keys
from trustcast_api.signing_keys import SigningKeys

if TYPE_CHECKING:
    from trustcast_api.settings import Settings

LEEWAY_SECONDS = 30
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# A key of the token's own, extensions that have to be understood, tokens inside tokens, encryption, compression.
_REFUSED_HEADERS = ("jwk", "jku", "x5c", "x5u", "crit", "b64", "cty", "enc", "zip")
_TYPES = ("jwt", "at+jwt", "application/at+jwt", "application/jwt")
_LONGEST_SUBJECT = 250  # `oidc:` and this fit where names are kept
_LONGEST_KID = 256
_PLAIN_KID = re.compile(r"[A-Za-z0-9._:=-]{1,128}")
_END_OF_TIME = 253402300800  # the year 10000, in seconds since 1970


class UntrustedTokenError(Exception):
    """The token proves nothing; the message says why, for the log, without repeating what was sent."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a good token says: who, of which tenant, and which scopes and alias prefixes it names (None: no bound)."""

    subject: str
    tenant_domain: str
    scopes: frozenset[str]
    alias_prefixes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """Who is trusted to say who somebody is. Exactly one of `tenant` (fixed) and `tenant_claim` is given."""

    issuer: str
    audience: str
    algorithm: str
    keys: SigningKeys
    tenant: str | None = None
    tenant_claim: str | None = None

    async def identify(self, token: str) -> Identity:
        """Return what a token proves. Raises `UntrustedTokenError`, `Unavailable`."""
        header, claims = _opened(token)
        _check_header(header, self.algorithm)
        _check_times(claims)
        key = await self.keys.find(header.get("kid"))
        if key is None:
            raise UntrustedTokenError("the provider has no such key")
        try:
            jwt.decode(
                token,
                key,
                algorithms=[self.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise UntrustedTokenError(type(error).__name__) from None
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        subject = claims["sub"]
        if not (0 < len(subject) <= _LONGEST_SUBJECT and subject.isprintable()):
            raise UntrustedTokenError("the subject is empty, too long or not printable")
        domain = self.tenant or claims.get(self.tenant_claim or "")
        if not isinstance(domain, str):
            raise UntrustedTokenError("the claim of the tenant is missing or no text")
        scope = claims.get("scope", "")
        names = scope.split(" ") if isinstance(scope, str) else _texts(scope, "scope")
        prefixes = claims.get("trustcast_alias_prefixes")
        if prefixes is not None:
            prefixes = tuple(one.lower() for one in _texts(prefixes, "trustcast_alias_prefixes"))
        return Identity(subject, domain.lower(), frozenset(names), prefixes)


def key_id(token: str) -> str | None:
    """Return which key a token says that it is signed with, for the log; None where it says nothing of the kind.

    It may be anything that somebody sent, so it counts only if it looks like a key's id, and not like a secret.
    """
    try:
        kid = _opened(token)[0].get("kid")
    except UntrustedTokenError:
        return None
    return kid if isinstance(kid, str) and _PLAIN_KID.fullmatch(kid) else None


def provider_of(settings: Settings) -> OpenIdProvider | None:
    """Return the provider that the settings name, None if they name none.

    A file of keys is read at once: raises `SettingsError` when it cannot be used. A URL is asked when the first token
    comes, so that the api starts while the provider is away.
    """
    algorithm, path, url = settings.oidc_algorithm, settings.oidc_jwks_file, settings.oidc_jwks_url
    if algorithm is None:
        return None
    if path is not None:
        try:
            known = signing_keys.usable(path.read_bytes(), algorithm)
        except OSError as error:
            raise SettingsError(f"The file {path} cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise SettingsError(f"The file {path} cannot be used: {error}.") from None
        keys = SigningKeys(lambda: run_in_threadpool(path.read_bytes), algorithm, known=known)
    else:
        keys = SigningKeys(lambda: signing_keys.fetch(url or ""), algorithm)
    return OpenIdProvider(
        issuer=settings.oidc_issuer or "",
        audience=settings.oidc_audience or "",
        algorithm=algorithm,
        keys=keys,
        tenant=settings.oidc_tenant,
        tenant_claim=settings.oidc_tenant_claim,
    )


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise UntrustedTokenError("it is no JWS in compact form")
    header, claims, _signature = map(_decoded, parts.groups())
    return _object(header), _object(claims)


def _decoded(part: str) -> bytes:
    """Decode the one spelling of these bytes; base64 would take others, too."""
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise UntrustedTokenError("a part is no base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise UntrustedTokenError("a part is no canonical base64url")
    return decoded


def _object(data: bytes) -> dict[str, Any]:
    try:
        read = json.loads(data.decode(), object_pairs_hook=_without_repetition, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise UntrustedTokenError("a part is no JSON, or repeats a member") from None
    if not isinstance(read, dict):
        raise UntrustedTokenError("a part is no JSON object")
    return read


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _no_such_number(_constant: str) -> float:
    raise ValueError


def _check_header(header: dict[str, Any], algorithm: str) -> None:
    if header.get("alg") != algorithm:
        raise UntrustedTokenError("it is not signed with the algorithm of the settings")
    named = [name for name in _REFUSED_HEADERS if name in header]
    if named:
        raise UntrustedTokenError(f"its header names {', '.join(named)}")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise UntrustedTokenError("it is a token of another type")
    if "kid" in header and not (isinstance(header["kid"], str) and 0 < len(header["kid"]) <= _LONGEST_KID):
        raise UntrustedTokenError("its key id is no text, empty or too long")


def _check_times(claims: dict[str, Any]) -> None:
    """Times are numbers (RFC 7519, NumericDate); PyJWT would take text and booleans, too."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UntrustedTokenError(f"{name} is no number")
        if not 0 <= value < _END_OF_TIME:  # which infinity and what is no number are not, either
            raise UntrustedTokenError(f"{name} is no moment")


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UntrustedTokenError(f"{name} is no list of texts")
    return value
