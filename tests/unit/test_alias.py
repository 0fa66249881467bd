"""Aliases are refused or kept, never normalised."""

from __future__ import annotations

import pytest

from trustcast.domain import alias
from trustcast.domain.errors import Rejected


@pytest.mark.parametrize("text", ["a", "A", "7", "backend-1.example_x", "a" * 255, "Backend"])
def test_legal_alias_is_kept_as_it_was_given(text: str) -> None:
    assert alias.checked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 256, id="too long"),
        pytest.param("-a", id="starts with a dash"),
        pytest.param(".a", id="starts with a dot"),
        pytest.param("_a", id="starts with an underscore"),
        pytest.param("../a", id="path"),
        pytest.param("a/b", id="slash"),
        pytest.param("a b", id="space"),
        pytest.param("a\n", id="line break at the end"),
        pytest.param("a\0", id="NUL"),
        pytest.param("\u0430lias", id="Cyrillic a"),
        pytest.param("ali\u200bas", id="zero-width space"),
        pytest.param("\uff41", id="full-width a"),
        pytest.param("\u0663", id="Arabic digit"),
        pytest.param("\u212a", id="Kelvin sign, whose lower case is k"),
    ],
)
def test_other_alias_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        alias.checked(text)

    assert (refused.value.code, refused.value.field) == ("alias_invalid", "alias")
    assert refused.value.detail == alias.REASONS["alias_invalid"]


def test_aliases_that_differ_in_case_have_one_key() -> None:
    assert alias.key("BackEnd") == alias.key("backend") == "backend"
