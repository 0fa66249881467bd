"""The links of the Publisher's pages."""

from __future__ import annotations

import pytest

from trustcast_api.publisher.pages import Page


def _page(limit: int, offset: int, total: int, **filters: str | None) -> Page:
    return Page(path="/certificates", limit=limit, offset=offset, total=total, filters=filters)


def _link(limit: int, offset: int) -> str:
    return f"/certificates?limit={limit}&offset={offset}"


@pytest.mark.parametrize(
    ("limit", "offset", "before", "behind"),
    [
        (25, 0, "", ""),
        (10, 0, "", ""),
        (9, 0, "", _link(9, 9)),
        (3, 3, _link(3, 0), _link(3, 6)),
        (3, 2, _link(3, 0), _link(3, 5)),
        (3, 7, _link(3, 4), ""),
        (3, 10, "", ""),
        (3, 99, "", ""),
        (0, 0, "", ""),
        (0, 5, "", ""),
    ],
)
def test_page_of_ten_items_names_its_neighbours(limit: int, offset: int, before: str, behind: str) -> None:
    page = _page(limit, offset, 10)

    assert (page.previous, page.next) == (before, behind)


def test_filters_stay_in_the_links() -> None:
    page = _page(1, 0, 2, alias="web", endpoint="https://web.example:8443/a b")

    assert page.next == "/certificates?limit=1&offset=1&alias=web&endpoint=https%3A%2F%2Fweb.example%3A8443%2Fa+b"


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_was_not_asked_for_is_not_in_the_links(nothing: str | None) -> None:
    assert _page(1, 0, 2, alias=nothing, endpoint=nothing).next == _link(1, 1)
