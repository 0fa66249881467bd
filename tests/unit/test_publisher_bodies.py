"""What a certificate says of itself, in the Publisher's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.certificates import self_signed
from trustcast.storage.certificates import TrustedCertificate
from trustcast_api.publisher.bodies import Information

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
MADE = self_signed("web.example", not_before=BEGINS, days=10)
TRUSTED = TrustedCertificate(
    tenant_id=-1234,
    alias="web",
    endpoint="https://web.example:443",
    certificate=MADE.der,
    fingerprint_sha256=MADE.fingerprint_sha256,
    not_before=BEGINS,
    not_after=BEGINS + timedelta(days=10),
    operation="1",
)


@pytest.mark.parametrize(
    ("days", "status"), [(-1, "Active"), (0, "Active"), (9, "Active"), (10, "Active"), (11, "Expired")]
)
def test_status_is_one_of_two(days: int, status: str) -> None:
    assert Information.of(TRUSTED, at=BEGINS + timedelta(days=days)).status == status


def test_everything_is_text() -> None:
    assert Information.of(TRUSTED, at=BEGINS).model_dump() == {
        "status": "Active",
        "validity": {"from": "Thu Jan 01 00:00:00 UTC 2026", "to": "Sun Jan 11 00:00:00 UTC 2026"},
        "version": "3",
        "subject": "CN=web.example",
    }
