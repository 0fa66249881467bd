"""What the policy is asked: a certificate, and before it, in a few bytes, the tenant's settings, the dates, the URL."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any, Self

from tests.fuzz.readers import elements
from tests.fuzz.readers.files_of_certificates import BEGIN, ders, mutated_certificate

_HEAD = struct.Struct(">BBHhiB")
_SWITCHES = (
    "allow_ca",
    "allow_server_ca",
    "allow_v1",
    "allow_not_yet_valid",
    "allow_short_keys",
    "allow_weak_signatures",
)
_LIMITS: tuple[Any, ...] = (1, 2, "unlimited", 0, -1, True, None, "1", 10**30, 1.5, [], {})
_ODD: tuple[Any, ...] = (None, 0, 1, "true", [], "unlimited")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_YEAR = 366 * 1440
_MINUTES = (0, 1, -1, 5, 6, _YEAR, _YEAR + 1, -(2**31), 2**31 - 1)
_URLS = [
    "https://backend.example",
    "https://a.example:8443/v1/{id}",
    "https://10.0.0.1",
    "https://[fd00::1]:1",
    "https://bücher.example",
    "http://backend.example",
    "https://[::ffff:1.2.3.4%25eth0]",
    "https://xn--bcher-kva.example.",
    "https://a@b",
    "https://0x7f.1",
    "HTTPS://*.EXAMPLE",
]


@dataclass(frozen=True)
class Case:
    """`switches`: a bit each for the settings, then for `ca`, `accept_expired` and for settings of odd types.

    `at` is in days from `BEGIN`, `activate_at` in minutes from `at`, 0 for none, as far as there are dates.
    """

    switches: int
    limit: int
    at_days: int
    activate_minutes: int
    url: bytes
    der: bytes

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Any bytes are a case."""
        switches, limit, _, at, activate, size = _HEAD.unpack(data[: _HEAD.size].ljust(_HEAD.size, b"\0"))
        return cls(switches, limit, at, activate, data[_HEAD.size :][:size], data[_HEAD.size + size :])

    def write(self) -> bytes:
        """The bytes that `read` reads."""
        url = self.url[:0xFF]
        return _HEAD.pack(self.switches, self.limit, 0, self.at_days, self.activate_minutes, len(url)) + url + self.der

    @property
    def settings(self) -> dict[str, Any]:
        """As JSON has them."""
        odd = _ODD[self.limit % len(_ODD)]
        values = {name: bool(self.switches >> place & 1) for place, name in enumerate(_SWITCHES)}
        extra = {"allow_everything": True, _SWITCHES[self.limit % len(_SWITCHES)]: odd} if self.limit & 0x80 else {}
        return values | extra | {"certificates_per_endpoint": _LIMITS[self.limit % len(_LIMITS)]}

    @property
    def ca(self) -> bool:
        """Whether the request means a CA."""
        return bool(self.switches & 0x40)

    @property
    def accept_expired(self) -> bool:
        """Whether it may be over."""
        return bool(self.switches & 0x80)

    @property
    def text(self) -> str:
        """The URL, with surrogates for what is no UTF-8."""
        return self.url.decode("utf-8", "surrogateescape")

    @property
    def at(self) -> datetime:
        """The time it is."""
        return BEGIN + timedelta(days=self.at_days)

    @property
    def activate_at(self) -> datetime | None:
        """When it is to be trusted."""
        try:
            return self.at + timedelta(minutes=self.activate_minutes) if self.activate_minutes else None
        except OverflowError:
            return _FIRST if self.activate_minutes < 0 else _LAST


@cache
def cases() -> list[bytes]:
    """Each certificate with some settings, dates and URLs."""
    luck = Random(1)
    return [_with_chances(Case(0, 0, 0, 0, _URLS[0].encode(), der), luck).write() for der in ders()]


def mutated_case(data: bytes, luck: Random) -> bytes:
    """Return a case with another certificate, or with other circumstances."""
    case, chance = Case.read(data), luck.random()
    if chance < 0.05:
        return elements.changed(data, luck)
    if chance < 0.65:
        return replace(case, der=mutated_certificate(case.der, luck)).write()
    return _with_chances(case, luck).write()


def _with_chances(case: Case, luck: Random) -> Case:
    match luck.randrange(5):
        case 0:
            return replace(case, switches=luck.randrange(256), limit=luck.randrange(256))
        case 1:
            return replace(case, at_days=luck.choice((0, 0, 1, 90, 91, -1, -30, 400, luck.randint(-32768, 32767))))
        case 2:
            minutes = luck.choice(
                (0, 1, -1, 5, 366 * 1440, 366 * 1440 + 1, -(2**31), 2**31 - 1, luck.randint(1, 10**6))
            )
            return replace(case, activate_minutes=minutes)
        case 3:
            return replace(case, url=luck.choice(_URLS).encode())
        case _:
            return replace(case, url=elements.changed(case.url, luck)[:0xFF])
