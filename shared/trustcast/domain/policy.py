"""Which certificates may be trusted: everything that can be said without looking at what is stored.

A gateway's JVM does not check what it finds in its truststore: a leaf that is expired, weak or not yet valid is
accepted once it is in there, and a v1 certificate or a CA vouches for every name. So it is decided here.

The rules are in `policy_rules`. Of several reasons to refuse the first in `REFUSALS` is given: they stand from the
most to the least fundamental.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy_case import Case
from trustcast.domain.policy_rules import REFUSALS, WARNINGS
from trustcast.domain.rules_about_dates import SOON

UNLIMITED = "unlimited"
"""How a `certificates_per_endpoint` of None is written where null means something else."""


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the word of the contract; nobody needs the built-in one here
    """Something that was accepted and that its owner should know."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What one tenant accepts; as it stands here, what an installation does unless told otherwise.

    `certificates_per_endpoint`: from 1; None: any number. `allow_ca`: accept certification authorities where the
    request means one (`ca=true`). `allow_server_ca`: accept, with a warning, a self-signed server certificate that is
    a CA as well (what `openssl req -x509` makes by default). `allow_v1`: accept X.509 v1 certificates, although each
    of them can vouch for every name. `allow_not_yet_valid`: accept, for a time of activation, what is not valid yet.
    `allow_short_keys`: RSA from 1024 bits. `allow_weak_signatures`: SHA-1 and MD5.
    """

    certificates_per_endpoint: int | None = 1
    allow_ca: bool = True
    allow_server_ca: bool = True
    allow_v1: bool = False
    allow_not_yet_valid: bool = False
    allow_short_keys: bool = False
    allow_weak_signatures: bool = False

    def check(
        self,
        certificate: Certificate,
        *,
        endpoint: Endpoint,
        at: datetime,
        ca: bool,
        accept_expired: bool = False,
        activate_at: datetime | None = None,
    ) -> tuple[Warning, ...]:
        """Return what to warn of; raises `Rejected` with the first code of `REFUSALS` that applies.

        `at` and `activate_at` are aware; `ca` says that the request means a certification authority, not a server's
        certificate. `accept_expired` lets one pass whose time is over: an installation that is taken over may already
        trust it. With `activate_at`, from when on the certificate is to be trusted, its validity is judged as of then.
        """
        is_for_endpoint = certificate.is_for(endpoint.host)
        case = Case(self, certificate, is_for_endpoint, at, ca, accept_expired, activate_at)
        for rule in REFUSALS:
            if rule.applies(case):
                raise Rejected(rule.code, rule.detail, field=rule.field)
        return tuple(Warning(rule.code, rule.detail) for rule in WARNINGS if rule.applies(case))

    def with_settings(self, settings: Mapping[str, Any]) -> Policy:
        """Return this policy with a tenant's own `settings`, as JSON has them (`unlimited` for any number).

        What is not known here, by its name or its value, was written by a newer version and changes nothing.
        """
        known = {name: value for name, value in settings.items() if _is_setting(name, value)}
        if known.get(_PER_ENDPOINT) == UNLIMITED:
            known[_PER_ENDPOINT] = None
        return replace(self, **known)

    def settings(self) -> dict[str, int | str]:
        """Return all of it as JSON has it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {_PER_ENDPOINT: values[_PER_ENDPOINT] or UNLIMITED}


USUAL = Policy()
_PER_ENDPOINT = "certificates_per_endpoint"


def _is_setting(name: str, value: object) -> bool:
    if name == _PER_ENDPOINT:
        return value == UNLIMITED or (type(value) is int and value > 0)
    return name in Policy.__dataclass_fields__ and isinstance(value, bool)


KEY_REUSED = Warning(
    "key_reused",
    "Another certificate of this tenant has the same key: whoever gets hold of one has both. "
    "Make a key of its own for each certificate.",
)
"""The one warning that needs a look at what is stored; it is given where changes are applied."""

REASONS = {rule.code: rule.detail for rule in (*REFUSALS, *WARNINGS, KEY_REUSED)}

_PASSING = frozenset({"activates_later", "expires_soon", "expired"})
_PLACES = {code: place for place, code in enumerate(REASONS)}


def standing_warnings(stored: Iterable[Mapping[str, str]], *, not_after: datetime, at: datetime) -> tuple[Warning, ...]:
    """Return the warnings of a trusted certificate as of `at`: those kept when it came in, its end brought up to date.

    `stored` has a `code` and a `detail` each; codes that are not known here stay as they are, at the end.
    """
    kept = [Warning(one["code"], one["detail"]) for one in stored if one["code"] not in _PASSING]
    if at > not_after:
        kept.append(Warning("expired", REASONS["expired"]))
    elif not_after - at <= SOON:
        kept.append(Warning("expires_soon", REASONS["expires_soon"]))
    return tuple(sorted(kept, key=lambda one: _PLACES.get(one.code, len(_PLACES))))
