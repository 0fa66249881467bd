"""If-Match names the one certificate that a request was made for."""

from __future__ import annotations

import pytest

from trustcast.domain.errors import Rejected
from trustcast_api import etags

SHA256 = "0123456789abcdef" * 4


def test_tag_that_was_given_is_the_one_that_is_wanted() -> None:
    assert etags.wanted(etags.of(SHA256)) == SHA256
    assert etags.wanted(f'  "{SHA256}" ') == SHA256


@pytest.mark.parametrize("header", [None, "*", " * "])
def test_nothing_in_particular_is_wanted(header: str | None) -> None:
    assert etags.wanted(header) is None


@pytest.mark.parametrize(
    "header",
    ["", SHA256, f'W/"{SHA256}"', f'"{SHA256.upper()}"', f'"{SHA256}", "{SHA256}"', f'"{SHA256}0"', '""', "*, *", "**"],
)
def test_whatever_else_is_refused(header: str) -> None:
    with pytest.raises(Rejected) as refusal:
        etags.wanted(header)

    assert (refusal.value.code, refusal.value.field) == ("if_match_invalid", "If-Match")
