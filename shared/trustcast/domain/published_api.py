"""A published API as far as trust goes: which backends it calls in which role, and whether they take certificates."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from trustcast.domain import pem
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import FieldErrors, Rejected

SUPPORTED_TYPES = frozenset({"HTTP/REST", "HTTP/SOAP"})
"""Whose endpoints take certificates, as in WSO2's documentation."""

_TYPE_ALSO_CALLED = {"HTTP": "HTTP/REST", "SOAP": "HTTP/SOAP"}  # by WSO2's Publisher API, 4.x
_KIND_ALSO_CALLED = {"load_balance": "load_balanced"}  # in WSO2's endpoint configurations

MOST_URLS = 100
LONGEST_URL = 2048

REASONS = {
    "api_type_invalid": (
        "The type is HTTP/REST, HTTP/SOAP or another name of up to 64 capital letters, digits, '/', '_' and '-', "
        "such as WS; it starts with a letter."
    ),
    "url_scheme": "The URL of a backend of this type of API has to start with https:// or http://.",
    "url_too_long": "The URL has more than 2048 characters; shorten it.",
    "url_characters": "The URL is empty or holds a line break or an invisible character; correct it.",
    "urls_single": "A single endpoint has exactly one URL; several are load_balanced or failover.",
    "urls_count": "A list of URLs has 1 to 100 of them; where there is no endpoint, give null.",
}

_TYPE = re.compile(r"[A-Z][A-Z0-9/_-]{0,63}")


class Role(StrEnum):
    """Which of an API's two endpoints."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class EndpointKind(StrEnum):
    """One backend, several that share the load, or several that stand in for one another."""

    SINGLE = "single"
    LOAD_BALANCED = "load_balanced"
    FAILOVER = "failover"

    @classmethod
    def _missing_(cls, value: object) -> EndpointKind | None:
        """Know a kind by the name that WSO2 gives it, too."""
        known = _KIND_ALSO_CALLED.get(value) if isinstance(value, str) else None
        return None if known is None else cls(known)


def normal_type(text: str) -> str:
    """Return the type that is meant: WSO2's short names are names of the two that take certificates."""
    return _TYPE_ALSO_CALLED.get(text, text)


@dataclass(frozen=True, slots=True)
class Backends:
    """An endpoint of an API: its URLs as they were given; the first of a failover list is the one to be preferred."""

    kind: EndpointKind
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One URL that an API calls; `endpoint` is None where no certificate can help: it is not https."""

    role: Role
    position: int
    url: str
    endpoint: Endpoint | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedApi:
    """What its publisher says of an API. `provider` is the publisher's name."""

    name: str
    version: str
    context: str
    provider: str
    type: str
    production: Backends | None = None
    sandbox: Backends | None = None

    def backends(self) -> dict[Role, Backends]:
        """Return the endpoints that there are, by role."""
        both = {Role.PRODUCTION: self.production, Role.SANDBOX: self.sandbox}
        return {role: one for role, one in both.items() if one is not None}

    def check(self) -> None:
        """Raise `RejectedMany` with everything that is wrong with the type and the URLs, each field named.

        Private key material, wherever it was pasted, is refused first: `Rejected("private_key")`.
        """
        urls = (url for one in self.backends().values() for url in one.urls)
        for text in (self.name, self.version, self.context, self.provider, self.type, *urls):
            pem.refuse_private_key(text.encode())
        errors = FieldErrors()
        with errors.of("type"):
            if not _TYPE.fullmatch(self.type):
                raise _rejected("api_type_invalid")
        for role, one in self.backends().items():
            field = f"endpoints.{role}.urls"
            with errors.of(field):
                _check_count(one)
            for position, url in enumerate(one.urls):
                with errors.of(f"{field}[{position}]"):
                    _check_url(url, supported=self.type in SUPPORTED_TYPES)
        errors.raise_if_any()

    def calls(self) -> Iterator[Call]:
        """Yield every URL, with its normal form where it is https."""
        for role, one in self.backends().items():
            for position, url in enumerate(one.urls):
                yield Call(role, position, url, _endpoint(url))

    def endpoints(self) -> set[str]:
        """Return the normal forms of all https URLs."""
        return {endpoint for endpoint, _ in self.roles()}

    def decisive(self) -> set[tuple[str, Role]]:
        """Return what decides where certificates belong: the `roles` of a type that takes any, or nothing."""
        return self.roles() if self.type in SUPPORTED_TYPES else set()

    def roles(self) -> set[tuple[str, Role]]:
        """Return each https URL's normal form with its role."""
        return {(str(call.endpoint), call.role) for call in self.calls() if call.endpoint is not None}

    def told(self) -> dict[str, Any]:
        """Return, for the audit chain, what it is in JSON values.

        Of URLs, which may hold secrets, it has the normal form, and a SHA-256 over all of them: no change goes unseen.
        """
        by_role = {role.value: sorted(one for one, of in self.roles() if of is role) for role in self.backends()}
        plain = {name: getattr(self, name) for name in ("name", "version", "context", "provider", "type")}
        kinds = {role.value: one.kind.value for role, one in self.backends().items()}
        urls = json.dumps({role.value: one.urls for role, one in self.backends().items()}, sort_keys=True)
        return {**plain, **by_role, "kinds": kinds, "urls_sha256": hashlib.sha256(urls.encode()).hexdigest()}

    def asked(self) -> dict[str, Any]:
        """Return all of it in JSON values."""
        return asdict(self)


def _check_count(one: Backends) -> None:
    if one.kind is EndpointKind.SINGLE and len(one.urls) != 1:
        raise _rejected("urls_single")
    if not 1 <= len(one.urls) <= MOST_URLS:
        raise _rejected("urls_count")


def _check_url(url: str, *, supported: bool) -> None:
    if len(url) > LONGEST_URL:
        raise _rejected("url_too_long")
    if not url or not url.isprintable():
        raise _rejected("url_characters")
    if not supported:
        return
    try:
        Endpoint.of_url(url)
    except Rejected as error:
        # The endpoint's own sentence speaks of https alone.
        wrong = _rejected("url_scheme") if error.code == "endpoint_scheme" else error
        raise Rejected(wrong.code, wrong.detail) from None


def _endpoint(url: str) -> Endpoint | None:
    try:
        found = Endpoint.of_url(url)
    except Rejected:
        return None
    return found if found.scheme == "https" else None


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code])
