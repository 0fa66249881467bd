"""The name of a certificate.

Java lower-cases aliases, so two that differ only in case are one alias. What does not fit is refused, never
normalised: a Cyrillic letter or a zero-width space survives NFKC and would make two aliases that look the same.
"""

from __future__ import annotations

import re

from trustcast.domain.errors import Rejected

MAX_LENGTH = 255
SUPER_TENANT = -1234
"""WSO2's id of `carbon.super`, whose aliases are the same on gateways as here."""

REASONS = {
    "alias_invalid": (
        "An alias is 1 to 255 ASCII letters, digits, '.', '_' or '-', and starts with a letter or digit; "
        "choose another alias."
    ),
    "alias_too_long": (
        "This alias has more than 250 characters, so there is no room for '.next' behind it; "
        "replace the certificate without a rotation."
    ),
}

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_NEXT = ".next"
LONGEST_ROTATED = MAX_LENGTH - len(_NEXT)
_TENANT = re.compile(r"_([1-9][0-9]{0,9})")


def checked(alias: str) -> str:
    """Return `alias` as it was given; raises `Rejected` (`alias_invalid`) when it is not a legal one."""
    if not _ALIAS.fullmatch(alias):
        raise Rejected("alias_invalid", REASONS["alias_invalid"], field="alias")
    return alias


def key(alias: str) -> str:
    """Return what aliases are compared by, in a key store and in the database: the lower-case form."""
    return alias.lower()


def on_gateways(alias_key: str, tenant_id: int) -> str:
    """Return the alias in truststores: WSO2 names another tenant's certificate `alias_tenantId` there."""
    return alias_key if tenant_id == SUPER_TENANT else f"{alias_key}_{tenant_id}"


def tenant_named_by(alias_key: str) -> int | None:
    """Return the id of the tenant whose alias on gateways could be this one, None where there can be none."""
    stem, separator, digits = alias_key.rpartition("_")
    named = _TENANT.fullmatch(separator + digits) if stem else None
    return int(named[1]) if named else None


def following(alias: str) -> str:
    """Return the alias under which the next certificate comes beside this one, for a rotation with overlap.

    Raises `Rejected` (`alias_too_long`) where that would be none.
    """
    if len(alias) > LONGEST_ROTATED:
        raise Rejected("alias_too_long", REASONS["alias_too_long"], field="alias")
    return alias + _NEXT
