"""Whatever stands in a token, it proves something or it is untrusted; it never breaks the one who reads it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.openid_provider import AUDIENCE, ISSUER, Signer, b64, claims, jwks
from trustcast_api import signing_keys
from trustcast_api.oidc import Identity, OpenIdProvider, UntrustedTokenError
from trustcast_api.signing_keys import SigningKeys

SIGNER = Signer.of("EdDSA")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "x5t", "cty"])
CLAIMS = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "tenant", "trustcast_alias_prefixes"]
)


async def _nobody_asks() -> bytes:
    raise TimeoutError


def identify(token: str) -> Identity | None:
    known = signing_keys.usable(jwks(SIGNER.jwk()), "EdDSA")
    keys = SigningKeys(_nobody_asks, "EdDSA", known=known)
    provider = OpenIdProvider(issuer=ISSUER, audience=AUDIENCE, algorithm="EdDSA", keys=keys, tenant_claim="tenant")
    with contextlib.suppress(UntrustedTokenError):
        return asyncio.run(provider.identify(token))
    return None


@settings(max_examples=150, deadline=None)
@given(header=st.dictionaries(HEADERS, ANY_JSON), changed=st.dictionaries(CLAIMS, ANY_JSON))
def test_signed_token_that_says_anything_is_read_or_untrusted(header: dict[str, Any], changed: dict[str, Any]) -> None:
    found = identify(SIGNER.token(header, **({"tenant": "carbon.super"} | changed)))

    assert found is None or found.subject == (changed.get("sub") or "jane")


@settings(max_examples=150, deadline=None)
@given(header=st.binary(max_size=60), body=st.binary(max_size=60))
def test_signed_token_of_any_bytes_is_untrusted(header: bytes, body: bytes) -> None:
    assert identify(SIGNER.sign(header, body)) is None
    assert identify(SIGNER.sign(json.dumps(SIGNER.header()).encode(), body)) is None


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_any_text_is_untrusted(text: str) -> None:
    assert identify(text) is None


@settings(max_examples=150, deadline=None)
@given(place=st.integers(min_value=0), character=st.characters(codec="ascii"))
def test_token_with_one_character_changed_is_untrusted(place: int, character: str) -> None:
    body = json.dumps(claims(tenant="carbon.super")).encode()
    token = SIGNER.sign(json.dumps(SIGNER.header()).encode(), body)
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]

    assert (identify(changed) is not None) == (changed == token)


def test_untrusted_token_is_not_repeated_in_the_reason() -> None:
    provider = OpenIdProvider(
        issuer=ISSUER,
        audience=AUDIENCE,
        algorithm="EdDSA",
        keys=SigningKeys(_nobody_asks, "EdDSA", known=signing_keys.usable(jwks(SIGNER.jwk()), "EdDSA")),
        tenant="carbon.super",
    )
    secrets = [
        SIGNER.token(iss="zebra7391"),
        SIGNER.token({"alg": "zebra7391"}),
        SIGNER.token({"kid": "zebra7391"}),
        SIGNER.token(exp="zebra7391"),
        SIGNER.token(scope={"zebra7391": 1}),
        f"{b64(b'zebra7391')}.AAAA.AAAA",
    ]

    for token in secrets:
        with pytest.raises(UntrustedTokenError) as refused:
            asyncio.run(provider.identify(token))
        assert "zebra7391" not in str(refused.value)
