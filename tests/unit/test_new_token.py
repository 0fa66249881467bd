from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from trustcast_cli.new_token import moment

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "later"),
    [("12h", timedelta(hours=12)), ("30d", timedelta(days=30)), ("8w", timedelta(weeks=8))],
)
def test_time_from_now_on_is_counted(text: str, later: timedelta) -> None:
    assert moment(text, NOON) == NOON + later


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00+02:00", datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_instant_is_in_utc_unless_it_says_otherwise(text: str, meant: datetime) -> None:
    assert moment(text, NOON) == meant
