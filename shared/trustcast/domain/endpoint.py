"""A backend's URL in its normal form: which TLS server a certificate is for.

Only scheme, host and port say that; path, query and fragment are dropped, and with them the `{placeholders}` of URI
templates (RFC 6570), whatever stands inside their braces.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self

from trustcast.domain.errors import Rejected

MAX_LENGTH = 255
"""Characters of the URL as it is given: the width of WSO2's `END_POINT` column."""

DEFAULT_PORTS = {"https": 443, "http": 80}

REASONS = {
    "endpoint_missing": "The endpoint is empty; give the backend's URL, such as https://backend.example:8443.",
    "endpoint_too_long": "The endpoint has more than 255 characters; the path is not needed, so leave it out.",
    "endpoint_characters": "The endpoint holds a space, a line break or an invisible character; remove it.",
    "endpoint_scheme": "The endpoint has to start with https://, because only TLS backends show a certificate.",
    "endpoint_userinfo": "The endpoint holds a user name or password ('@' before the path); leave that out.",
    "endpoint_host": (
        "The endpoint's host is neither a host name nor an IPv4 address nor an IPv6 address in brackets; "
        "an international name that is read in two ways has to be given in its xn-- form."
    ),
    "endpoint_port": "The endpoint's port is not a number from 1 to 65535; correct it or leave it out for 443.",
}

# A template may begin right after the host: `https://backend.example{/id}{?query}`.
_END_OF_AUTHORITY = re.compile(r"[/?#]|\{(?=[/?#])")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A last label that is a number makes the whole an IPv4 address for half of the world's software and a name
# for the other half (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` is lower-case ASCII (A-labels for international names) or an IP address without brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an https URL; raises `Rejected` with an `endpoint_…` code and field `endpoint`."""
        if len(text) > MAX_LENGTH:
            raise _rejected("endpoint_too_long")
        found = cls.of_url(text)
        if found.scheme != "https":
            raise _rejected("endpoint_scheme")
        return found

    @classmethod
    def of_url(cls, text: str) -> Self:
        """Read an https or http URL of any length, as an API has it; raises `Rejected` as `parse` does."""
        _check_characters(text)
        scheme, separator, rest = text.partition("://")
        if not separator or scheme.lower() not in DEFAULT_PORTS:
            raise _rejected("endpoint_scheme")
        authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
        if "@" in authority:
            raise _rejected("endpoint_userinfo")
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None:
            raise _rejected("endpoint_host")
        return cls(scheme.lower(), _host(parts["host"]), _port(parts["port"], default=DEFAULT_PORTS[scheme.lower()]))

    @property
    def parent(self) -> str | None:
        """The host without its first label: what a wildcard for it names. None where no wildcard can be for it."""
        parent = self.host.partition(".")[2]
        return parent if "." in parent and not _is_address(self.host) else None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def sought(text: str) -> tuple[str, int | None]:
    """Read what somebody looks for, a URL, `host` or `host:port`: the host, and the port where it is given.

    Raises `Rejected` as `parse` does.
    """
    url = text if "://" in text or not text else f"https://{text}"
    found = Endpoint.parse(url)
    authority = _END_OF_AUTHORITY.split(url.partition("://")[2], maxsplit=1)[0]
    parts = _AUTHORITY.fullmatch(authority)
    return found.host, found.port if parts and parts["port"] is not None else None


def _check_characters(text: str) -> None:
    if not text:
        raise _rejected("endpoint_missing")
    # Not printable covers control, format (zero-width), surrogate and every separator but the ASCII space.
    if " " in _PLACEHOLDER.sub("", text) or not text.isprintable():
        raise _rejected("endpoint_characters")


def _port(text: str | None, *, default: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in _PORTS:
        raise _rejected("endpoint_port")
    return int(text)


def _is_address(host: str) -> bool:
    return ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _host(text: str) -> str:
    bracketed = text.startswith("[")
    name = text[1:-1] if bracketed else text.removesuffix(".")
    if not bracketed and not _is_address(name):  # or half of the time would go into finding out that it is none
        return _name(name)
    try:
        address = ip_address(name)
    except ValueError:
        raise _rejected("endpoint_host") from None
    zoned = isinstance(address, IPv6Address) and address.scope_id is not None
    if bracketed != isinstance(address, IPv6Address) or zoned:
        raise _rejected("endpoint_host")
    return str(address)


def _name(text: str) -> str:
    labels = [_a_label(label) for label in text.split(".")]
    name = ".".join(labels)
    if len(name) > _LONGEST_NAME or _NUMBER.fullmatch(labels[-1]) or not all(map(_LABEL.fullmatch, labels)):
        raise _rejected("endpoint_host")
    return name


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    # The standard library's codec is IDNA 2003. A label that it changes (ß, ς, full-width letters) is another name
    # in IDNA 2008, so only a label that survives the way there and back is taken.
    try:
        encoded = label.encode("idna")
        if encoded.decode("idna") == unicodedata.normalize("NFC", label).lower():
            return encoded.decode("ascii")
    except UnicodeError:
        pass
    raise _rejected("endpoint_host")


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="endpoint")
