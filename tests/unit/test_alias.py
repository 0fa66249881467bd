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


@pytest.mark.parametrize(
    ("tenant", "named"), [("-1234", "web"), ("7", "web_7"), ("-1", "web_-1"), ("-2000", "web_-2000")]
)
def test_alias_on_gateways_names_the_tenant_unless_it_is_the_super_tenant(tenant: str, named: str) -> None:
    assert alias.on_gateways("web", int(tenant)) == named


@pytest.mark.parametrize(
    ("text", "tenant"),
    [("web_7", 7), ("a_b_2147483647", 2147483647), ("web", None), ("web_07", None), ("web_", None), ("7", None)],
)
def test_alias_may_look_like_another_tenants(text: str, tenant: int | None) -> None:
    assert alias.tenant_named_by(text) == tenant


def test_alias_of_the_next_certificate_is_a_legal_one_or_refused() -> None:
    assert alias.following("web") == "web.next"
    assert alias.checked(alias.following("a" * 250)) == "a" * 250 + ".next"
    with pytest.raises(Rejected) as refused:
        alias.following("a" * 251)
    assert refused.value.code == "alias_too_long"
