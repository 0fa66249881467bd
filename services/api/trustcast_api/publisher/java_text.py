"""Dates and names as Java prints them: clients of the Publisher read these texts with Java's own patterns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography import x509

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# What sun.security.x509.AVAKeyword prints for an attribute type; for any other it prints the number.
_KEYWORDS: Final = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SURNAME",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.42": "GIVENNAME",
    "2.5.4.43": "INITIALS",
    "2.5.4.44": "GENERATION",
    "2.5.4.46": "DNQ",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAILADDRESS",
}
_QUOTED_FOR: Final = frozenset(',+=\n<>#;\\"')


def date(at: datetime) -> str:
    """`java.util.Date.toString()` in UTC: `Fri May 06 18:11:14 UTC 2022`, whatever this process' locale is."""
    utc = at.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]} {_MONTHS[utc.month - 1]} {utc:%d %H:%M:%S} UTC {utc.year}"


def name(of: x509.Name) -> str:
    """`X500Principal.toString()`: the most specific part first, `CN=localhost, OU=localhost, C=LK`."""
    return ", ".join(" + ".join(map(_attribute, part)) for part in reversed(of.rdns))


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> str:
    number = attribute.oid.dotted_string
    value = attribute.value
    text = _quoted(value) if isinstance(value, str) else f"#{value.hex()}"
    return f"{_KEYWORDS.get(number, f'OID.{number}')}={text}"


def _quoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _escaped(value[1:-1])
    spaced = value != value.strip(" \n") or any(two in value for two in ("  ", " \n", "\n "))
    if not spaced and _QUOTED_FOR.isdisjoint(value):
        return value
    return _escaped(value)


def _escaped(value: str) -> str:
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'
