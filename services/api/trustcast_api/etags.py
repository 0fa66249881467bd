"""Entity tags (RFC 9110, 8.8.3): a certificate's is its SHA-256 in quotes."""

from __future__ import annotations

import re

from trustcast.domain.errors import Rejected

_TAG = re.compile(r'\s*"([0-9a-f]{64})"\s*')


def of(fingerprint_sha256: str) -> str:
    """Return the tag of the certificate with this SHA-256."""
    return f'"{fingerprint_sha256}"'


def wanted(if_match: str | None) -> str | None:
    """Return the SHA-256 that `If-Match` names; None where there is no such header, or it is `*`.

    What changes a certificate needs one that is there anyway, so `*` adds nothing. Raises
    `Rejected("if_match_invalid")`.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tag = _TAG.fullmatch(if_match)
    if tag is None:
        raise Rejected(
            "if_match_invalid",
            "Send the ETag that GET gave for this certificate, quotes included, or `*`.",
            field="If-Match",
        )
    return tag[1]
