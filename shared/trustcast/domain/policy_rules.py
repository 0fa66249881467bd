"""All rules of the policy in their order, from the most to the least fundamental.

Each has one code and one sentence, and says whether a case is what that describes; docs/policy.md has them all, with
what to do about each.
"""

from __future__ import annotations

from trustcast.domain import rules_about_dates as dates
from trustcast.domain import rules_about_keys as keys
from trustcast.domain import rules_about_purpose as purpose

REFUSALS = (
    dates.VALIDITY_REVERSED,
    keys.SELF_SIGNATURE_INVALID,
    purpose.CERTIFICATE_V1,
    purpose.CRITICAL_EXTENSION_UNKNOWN,
    keys.KEY_UNSUPPORTED,
    keys.KEY_SIZE,
    keys.KEY_EXPONENT,
    keys.SIGNATURE_WEAK,
    keys.SIGNATURE_UNSUPPORTED,
    dates.CERTIFICATE_NOT_YET_VALID,
    dates.ACTIVATE_AT_NOT_ALLOWED,
    dates.ACTIVATE_AT_TOO_EARLY,
    dates.ACTIVATE_AT_TOO_LATE,
    dates.CERTIFICATE_EXPIRED,
    purpose.CA_WITHOUT_CERT_SIGN,
    purpose.NOT_FOR_SERVERS,
    purpose.SERVER_CA_FORBIDDEN,
    purpose.CA_FORBIDDEN,
    purpose.CA_NOT_ALLOWED,
)

WARNINGS = (
    purpose.CA_MATCHES_ENDPOINT,
    purpose.V1_ACCEPTED,
    keys.KEY_SHORT_ACCEPTED,
    keys.SIGNATURE_WEAK_ACCEPTED,
    purpose.CA_WITHOUT_NAME_CONSTRAINTS,
    keys.ROOT_SIGNATURE_WEAK,
    dates.ACTIVATES_LATER,
    dates.EXPIRED,
    dates.EXPIRES_SOON,
    dates.VALIDITY_LONG,
    keys.KEY_RSA_SHORT,
    purpose.WILDCARD,
    purpose.NO_ALTERNATIVE_NAME,
    purpose.NAME_MISMATCH,
)
