"""The name of a certificate.

Java lower-cases aliases, so two that differ only in case are one alias. What does not fit is refused, never
normalised: a Cyrillic letter or a zero-width space survives NFKC and would make two aliases that look the same.
"""

from __future__ import annotations

import re

from trustcast.domain.errors import Rejected

MAX_LENGTH = 255

REASONS = {
    "alias_invalid": (
        "An alias is 1 to 255 ASCII letters, digits, '.', '_' or '-', and starts with a letter or digit; "
        "choose another alias."
    ),
}

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def checked(alias: str) -> str:
    """Return `alias` as it was given; raises `Rejected` (`alias_invalid`) when it is not a legal one."""
    if not _ALIAS.fullmatch(alias):
        raise Rejected("alias_invalid", REASONS["alias_invalid"], field="alias")
    return alias


def key(alias: str) -> str:
    """Return what aliases are compared by, in a key store and in the database: the lower-case form."""
    return alias.lower()
