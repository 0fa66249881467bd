"""The rules about time: from when until when a certificate is valid, and from when on it is to be trusted."""

from __future__ import annotations

from datetime import timedelta

from trustcast.domain.policy_case import Case, Rule

SOON = timedelta(days=30)
LONGEST_LEAF = timedelta(days=398)
FARTHEST_ACTIVATION = timedelta(days=366)


def _activated_too_early(case: Case) -> bool:
    return case.is_not_yet_valid and case.activate_at is not None and case.activate_at < case.certificate.not_before


def _activated_too_late(case: Case) -> bool:
    return case.activate_at is not None and case.activate_at - case.at > FARTHEST_ACTIVATION


def _long_lived(case: Case) -> bool:
    it = case.certificate
    return case.shows_at_endpoint and it.not_after - it.not_before > LONGEST_LEAF


VALIDITY_REVERSED = Rule(
    "validity_reversed",
    "The certificate ends before it begins to be valid; have it issued again.",
    lambda case: case.certificate.not_after < case.certificate.not_before,
)

CERTIFICATE_NOT_YET_VALID = Rule(
    "certificate_not_yet_valid",
    "The certificate is not valid yet; upload it when it is, or correct the clock of the machine that made it. "
    "Where the tenant's policy has allow_not_yet_valid, activate_at says from when on to trust it.",
    lambda case: case.is_not_yet_valid and case.activate_at is None,
)

ACTIVATE_AT_NOT_ALLOWED = Rule(
    "activate_at_not_allowed",
    "The certificate is not valid yet, and this tenant's policy accepts none ahead of its time; upload it when it "
    "is valid, or ask an administrator for allow_not_yet_valid.",
    lambda case: case.is_not_yet_valid and not case.policy.allow_not_yet_valid,
    field="activate_at",
)

ACTIVATE_AT_TOO_EARLY = Rule(
    "activate_at_too_early",
    "The certificate is not valid yet at activate_at; choose a time from the beginning of its validity on.",
    _activated_too_early,
    field="activate_at",
)

ACTIVATE_AT_TOO_LATE = Rule(
    "activate_at_too_late",
    "activate_at is more than 366 days ahead; choose an earlier time, or upload the certificate later.",
    _activated_too_late,
    field="activate_at",
)

CERTIFICATE_EXPIRED = Rule(
    "certificate_expired",
    "The certificate has expired, or will have before it is to be trusted; upload its successor.",
    lambda case: case.is_expired and not case.accept_expired,
)

ACTIVATES_LATER = Rule(
    "activates_later",
    "The certificate is not trusted before its activate_at; until then backends that show it are refused.",
    lambda case: case.trusted_from > case.at,
)

EXPIRED = Rule(
    "expired",
    "The certificate has expired; a gateway's JVM does not check that and trusts it all the same. Replace it.",
    lambda case: case.is_expired,
)

EXPIRES_SOON = Rule(
    "expires_soon",
    "The certificate expires within 30 days; have its successor ready.",
    lambda case: not case.is_expired and case.certificate.not_after - case.trusted_from <= SOON,
)

VALIDITY_LONG = Rule(
    "validity_long",
    "The server certificate is valid for more than 398 days, the longest that public CAs may issue.",
    _long_lived,
)
