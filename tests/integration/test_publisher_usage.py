"""Which APIs need a certificate, as WSO2's clients ask: by pages."""

from __future__ import annotations

import pytest

from tests import published
from tests.certificates import self_signed
from tests.publisher import NEWER, VERSIONS, Face, assert_error, some_alias, some_host

COUNT = 6


@pytest.fixture
def used(newest_face: Face) -> tuple[Face, str, list[dict[str, str]]]:
    """A certificate that `COUNT` APIs need, and those APIs as they are listed."""
    alias, host = some_alias(), some_host()
    assert newest_face.upload(alias, self_signed(host), f"https://{host}:9443").status_code == 201
    apis = [
        {"name": f"{alias}-{number}", "context": f"/{number}", "version": "1.0.0", "provider": "admin"}
        for number in range(COUNT)
    ]
    ids = [
        published.register(
            newest_face.api.database,
            # The role is not asked for, nor how often an API calls.
            published.api(
                **one, production=[f"https://{host}:9443/a", f"https://{host}:9443/b"], sandbox=f"https://{host}:9443"
            ),
        )
        for one in apis
    ]
    return newest_face, alias, [{"id": id_, **one} for id_, one in zip(ids, apis, strict=True)]


@pytest.mark.parametrize(
    ("limit", "offset", "count"),
    [
        (COUNT - 1, 0, COUNT - 1),
        (COUNT, 0, COUNT),
        (COUNT + 5, 0, COUNT),
        (COUNT - 4, 2, COUNT - 4),
        (COUNT - 3, 3, COUNT - 3),
        (COUNT - 3, 5, COUNT - 5),
        (COUNT - 3, COUNT + 2, 0),
        (0, 0, 0),
        (2**31 - 1, 0, COUNT),
    ],
)
def test_usage_is_paged(used: tuple[Face, str, list[dict[str, str]]], limit: int, offset: int, count: int) -> None:
    face, alias, apis = used

    answer = face.ask("GET", f"/{alias}/usage", params={"limit": limit, "offset": offset}).json()

    assert (answer["count"], answer["list"]) == (count, apis[offset : offset + limit])
    assert (answer["pagination"]["total"], answer["pagination"]["limit"], answer["pagination"]["offset"]) == (
        COUNT,
        limit,
        offset,
    )


def test_links_lead_through_the_usage(used: tuple[Face, str, list[dict[str, str]]]) -> None:
    face, alias, apis = used
    seen, link = [], f"/endpoint-certificates/{alias}/usage?limit=4"

    while link:
        page = face.api.ask("GET", face.base + link).json()
        seen += page["list"]
        link = page["pagination"]["next"]

    assert seen == apis


@pytest.mark.parametrize("version", NEWER)
def test_every_newer_version_tells_the_usage(used: tuple[Face, str, list[dict[str, str]]], version: str) -> None:
    face, alias, apis = used

    answer = Face(face.api, version).ask("GET", f"/{alias}/usage").json()

    assert answer["list"] == apis
    assert answer["pagination"] == {"offset": 0, "limit": 25, "total": COUNT, "next": "", "previous": ""}


@pytest.mark.parametrize("alias", ["nobody", "two%20words", "gr%C3%B6%C3%9Fe", "%00"])
def test_nobody_uses_an_unknown_alias(newest_face: Face, alias: str) -> None:
    answer = newest_face.ask("GET", f"/{alias}/usage")

    assert (answer.status_code, answer.json()["count"], answer.json()["list"]) == (200, 0, [])


def test_version_2_6_knows_no_usage(newest_face: Face) -> None:
    assert_error(Face(newest_face.api, VERSIONS[-1]).ask("GET", "/web/usage"), 404, "Not Found")


def test_certificate_in_use_is_deleted_all_the_same(used: tuple[Face, str, list[dict[str, str]]]) -> None:
    face, alias, _ = used

    assert face.api.ask("DELETE", f"/v1/certificates/{alias}").status_code == 409
    assert face.ask("DELETE", f"/{alias}").status_code == 200


def test_certificate_in_use_is_replaced_all_the_same(newest_face: Face) -> None:
    alias, host = some_alias(), some_host()
    newest_face.upload(alias, self_signed(f"*.{host}"), f"https://a.{host}")
    published.register(newest_face.api.database, published.api(alias, f"https://b.{host}"))
    narrower = self_signed(f"a.{host}")

    ours = newest_face.api.ask("PUT", f"/v1/certificates/{alias}", files={"certificate": narrower.pem})
    theirs = newest_face.replace(alias, narrower)

    assert (ours.status_code, theirs.status_code) == (409, 200)
