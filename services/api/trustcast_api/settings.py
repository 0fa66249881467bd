"""The api's settings."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, StringConstraints, model_validator

from trustcast.settings import PREFIX, BrokerSettings, DatabaseSettings, PolicySettings

MOST_SCHEDULED = 20_000
# Asymmetric only: whoever may verify must not be able to sign.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _https_or_loopback(url: str) -> str:
    """Keys that came over an open network would be anybody's."""
    try:
        parsed = urlsplit(url)
        host, _port = parsed.hostname or "", parsed.port
    except ValueError:
        raise ValueError("this is no URL") from None
    if parsed.username is not None or parsed.fragment or not host:
        raise ValueError("give a URL with a host, and without user and fragment")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(host)):
        raise ValueError("give an https URL, or http on a loopback address")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listed(text: object) -> object:
    """A variable holds one text: members with commas in between."""
    return [one.strip() for one in text.split(",") if one.strip()] if isinstance(text, str) else text


_Text = Annotated[str, StringConstraints(min_length=1)]


class Unregistered(StrEnum):
    """What becomes of a certificate for an endpoint of no registered API: WSO2's clients upload such ones."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Settings(DatabaseSettings, BrokerSettings, PolicySettings):
    """What `python -m trustcast_api` needs to know, as `TRUSTCAST_…`.

    `oidc_…` name the OpenID provider whose JWTs are taken: all of them, or none.
    """

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=1, le=65535)
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_listed)] = ()  # see `behind_proxies`
    admin_token_file: Path
    gateways_file: Path  # JSON; see `enrol_gateways`
    unregistered_endpoints: Unregistered = Unregistered.ALLOW
    scheduled_per_tenant: int = Field(default=MOST_SCHEDULED, ge=0)
    publisher_wait_seconds: float = Field(default=30, gt=0, le=3600)  # how long its faces wait for a verdict
    oidc_issuer: _Text | None = None
    oidc_audience: _Text | None = None
    oidc_algorithm: Algorithm | None = None
    oidc_jwks_file: Path | None = None
    oidc_jwks_url: Annotated[str, AfterValidator(_https_or_loopback)] | None = None
    oidc_tenant: _Text | None = None  # a domain, for whoever the provider knows
    oidc_tenant_claim: _Text | None = None  # or the claim that names it

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        given = {
            name for name in type(self).model_fields if name.startswith("oidc_") and getattr(self, name) is not None
        }
        if not given:
            return self
        missing = [name for name in ("oidc_issuer", "oidc_audience", "oidc_algorithm") if name not in given]
        if missing:
            raise ValueError("an OpenID provider also needs " + ", ".join(map(_variable, missing)))
        for one, other in (("oidc_jwks_file", "oidc_jwks_url"), ("oidc_tenant", "oidc_tenant_claim")):
            if (one in given) == (other in given):
                raise ValueError(f"an OpenID provider needs either {_variable(one)} or {_variable(other)}")
        return self


def _variable(name: str) -> str:
    return PREFIX + name.upper()
