"""Say what a tenant's policy makes of a certificate that a request brings: when it comes, and again when it is applied.

In between time passes (a request may be scheduled, or held back), and the policy may have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.domain.endpoint import Endpoint
from trustcast.domain.operation import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from trustcast.domain import policy
    from trustcast.domain.certificate import Certificate
    from trustcast.storage.operations import Operation


def judge(
    one: Operation, certificate: Certificate, rules: policy.Policy, *, at: datetime
) -> tuple[policy.Warning, ...]:
    """Return what to warn of. Raises `Rejected`, see `Policy.check`."""
    ends_rotation = one.kind is Kind.REPLACE and one.rotation is not None
    return rules.check(
        certificate,
        endpoint=Endpoint.of_url(one.endpoint or ""),
        at=at,
        ca=one.ca,
        accept_expired=one.accept_expired or ends_rotation,  # the end of a rotation brings what is trusted already
        activate_at=one.activate_at,
    )
