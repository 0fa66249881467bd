"""The life of a certificate through WSO2's routes: every version of them, and no word of operations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.certificates import Made, authority, ec_key, self_signed
from tests.publisher import Face, assert_error, some_alias, some_host


def dated(subject: str, begins: datetime, ends: datetime) -> Made:
    name, key = x509.Name.from_rfc4514_string(subject), ec_key()
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
    return Made(builder.sign(key, hashes.SHA256()), key)


def uploaded(face: Face, *, alias: str = "", host: str = "", made: Made | None = None) -> tuple[str, str]:
    """Upload a certificate; return its alias and endpoint."""
    alias, host = alias or some_alias(), host or some_host()
    endpoint = f"https://{host}:9443"
    assert face.upload(alias, made or self_signed(host), endpoint).status_code == 201
    return alias, endpoint


def test_upload_is_answered_when_the_certificate_is_trusted(every_face: Face) -> None:
    alias, host = some_alias(), some_host()
    made = self_signed(host)

    answer = every_face.upload(alias, made, f"https://{host}:9443")

    assert (answer.status_code, answer.json()) == (201, {"alias": alias, "endpoint": f"https://{host}:9443"})
    assert (
        every_face.api.ask("GET", f"/v1/certificates/{alias}").json()["fingerprint_sha256"] == made.fingerprint_sha256
    )


def test_location_leads_to_what_was_uploaded(every_face: Face) -> None:
    alias, host = some_alias(), some_host()

    location = every_face.upload(alias, self_signed(host), f"https://{host}:9443").headers["location"]

    assert every_face.api.ask("GET", location).json()["certificates"] == [
        {"alias": alias, "endpoint": f"https://{host}:9443"}
    ]


def test_endpoint_is_answered_as_it_was_sent_and_listed_in_its_normal_form(face: Face) -> None:
    alias, host = some_alias(), some_host()

    answer = face.upload(alias, self_signed(host), f"https://{host.upper()}/orders")

    assert answer.json()["endpoint"] == f"https://{host.upper()}/orders"
    assert [one["endpoint"] for one in face.found(alias=alias)] == [f"https://{host}:443"]


def test_endpoint_may_have_several_certificates(every_face: Face) -> None:
    first, endpoint = uploaded(every_face)
    host = urlsplit(endpoint).hostname or ""

    second, _ = uploaded(every_face, host=host)

    assert {one["alias"] for one in every_face.found(endpoint=endpoint)} == {first, second}


def test_alias_is_taken_once_whatever_its_case(every_face: Face) -> None:
    alias, endpoint = uploaded(every_face)

    body = assert_error(every_face.upload(alias.upper(), self_signed(), endpoint), 409, "Resource Already Exists")

    assert body["moreInfo"].startswith("/v1/operations/")
    assert every_face.api.ask("GET", body["moreInfo"]).json()["state"] == "rejected"


def test_expired_certificate_is_refused(every_face: Face) -> None:
    expired = self_signed(days=1, not_before=datetime.now(UTC) - timedelta(days=2))

    body = assert_error(every_face.upload(some_alias(), expired, "https://late.example"), 400, "Bad Request")

    assert "Certificate Expired" in body["description"]


@pytest.mark.parametrize("alias", ["", "two words", "größe", "a" * 256])
def test_alias_that_is_none_is_refused(newest_face: Face, alias: str) -> None:
    assert_error(newest_face.upload(alias, self_signed(), "https://web.example"), 400, "Bad Request")


@pytest.mark.parametrize("endpoint", ["", "web.example", "http://web.example", "https://"])
def test_endpoint_that_is_none_is_refused(newest_face: Face, endpoint: str) -> None:
    assert_error(newest_face.upload(some_alias(), self_signed(), endpoint), 400, "Bad Request")


@pytest.mark.parametrize("content", [b"", b"no certificate", self_signed().der[:-9], self_signed().key_pem])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_unreadable_certificate_is_the_clients_fault(newest_face: Face, method: str, content: bytes) -> None:
    alias, endpoint = uploaded(newest_face)
    path, data = ("", {"alias": some_alias(), "endpoint": endpoint}) if method == "POST" else (f"/{alias}", {})

    answer = newest_face.ask(method, path, data=data, files={"certificate": ("c.crt", content)})

    assert_error(answer, 400, "Bad Request")


def test_every_fault_is_told_at_once(face: Face) -> None:
    body = assert_error(face.ask("POST", files={"certificate": ("c.crt", b"")}), 400, "Bad Request")

    assert {one["message"].partition(":")[0] for one in body["error"]} == {"alias", "endpoint", "certificate"}
    assert all(one["message"] in body["description"] for one in body["error"])


def test_certificate_authority_is_trusted_only_when_that_is_meant(face: Face) -> None:
    files, data = (
        {"certificate": ("ca.crt", authority().pem)},
        {"alias": some_alias(), "endpoint": "https://web.example"},
    )

    unmeant, meant = (face.ask("POST", data=data | extra, files=files) for extra in ({}, {"ca": "true"}))

    assert_error(unmeant, 400, "Bad Request")
    assert meant.status_code == 201


def test_unknown_parts_are_left_alone_and_text_may_come_as_a_file(face: Face) -> None:
    alias, host = some_alias(), some_host()
    files = {
        "alias": ("alias.txt", alias.encode(), "text/plain"),
        "endpoint": ("", f"https://{host}".encode(), "text/plain"),
        "certificate": ("c.crt", self_signed(host).der, "application/octet-stream"),
        "apiId": (None, b"7"),
    }

    assert face.ask("POST", files=files).status_code == 201


@pytest.mark.parametrize(
    ("wanted", "finds"),
    [
        ("https://{host}:9443", True),
        ("https://{host}", True),
        ("https://{host}:9443/api/v1", True),
        ("https://{host}:1", True),
        ("https://{HOST}", True),
        ("{host}", True),
        ("https://{host}.evil", False),
        ("https://sub.{host}", False),
        ("https://abc.com", False),
        ("http://{host}", False),
        ("https://", False),
        ("no\0thing", False),
    ],
)
def test_search_by_endpoint_compares_hosts(newest_face: Face, wanted: str, finds: bool) -> None:
    host = some_host()
    alias, endpoint = uploaded(newest_face, host=host)

    found = newest_face.found(endpoint=wanted.format(host=host, HOST=host.upper()))

    assert found == ([{"alias": alias, "endpoint": endpoint}] if finds else [])


def test_search_by_alias_finds_the_one(every_face: Face) -> None:
    alias, endpoint = uploaded(every_face)

    assert every_face.found(alias=alias) == [{"alias": alias, "endpoint": endpoint}]


@pytest.mark.parametrize("alias", ["nobody", "größe", "no\0thing", "a" * 300])
def test_search_by_another_alias_finds_nothing(newest_face: Face, alias: str) -> None:
    answer = newest_face.ask("GET", params={"alias": alias}).json()

    assert (answer["count"], answer["certificates"], answer["pagination"]["total"]) == (0, [], 0)


def test_search_narrows_by_both(face: Face) -> None:
    alias, endpoint = uploaded(face)
    other, _ = uploaded(face)

    assert [len(face.found(alias=one, endpoint=endpoint)) for one in (alias, other)] == [1, 0]


@pytest.mark.parametrize("empty", ["alias", "endpoint"])
def test_empty_filter_is_none(newest_face: Face, empty: str) -> None:
    alias, endpoint = uploaded(newest_face)

    assert len(newest_face.found(**{"alias": alias, "endpoint": endpoint, empty: ""})) == 1


def test_list_is_paged(face: Face) -> None:
    host = some_host()
    aliases = sorted(uploaded(face, host=host)[0] for _ in range(3))

    pages = [face.ask("GET", params={"endpoint": host, "limit": 2, "offset": offset}).json() for offset in (0, 2, 3, 9)]

    assert [[one["alias"] for one in page["certificates"]] for page in pages] == [aliases[:2], aliases[2:], [], []]
    assert [page["count"] for page in pages] == [2, 1, 0, 0]
    assert [page["pagination"]["total"] for page in pages] == [3, 3, 3, 3]
    assert [page["pagination"]["offset"] for page in pages] == [0, 2, 3, 9]


def test_links_lead_through_the_list(face: Face) -> None:
    host = some_host()
    aliases = sorted(uploaded(face, host=host)[0] for _ in range(3))
    seen, link = [], f"{face.resource}?limit=1&endpoint={host}"

    while link:
        page = face.api.ask("GET", face.base + link).json()
        seen += [one["alias"] for one in page["certificates"]]
        link = page["next"] if face.version == "v0.14" else page["pagination"]["next"]

    assert seen == aliases


def test_list_has_their_members(every_face: Face) -> None:
    answer = every_face.ask("GET").json()

    plain = {"offset", "limit", "total"}
    if every_face.version == "v0.14":
        assert (set(answer), set(answer["pagination"])) == (
            {"count", "next", "previous", "certificates", "pagination"},
            plain,
        )
    else:
        assert (set(answer), set(answer["pagination"])) == (
            {"count", "certificates", "pagination"},
            plain | {"next", "previous"},
        )
    assert (answer["pagination"]["limit"], answer["pagination"]["offset"]) == (25, 0)


def test_certificate_is_described_as_java_would(every_face: Face) -> None:
    begins, ends = datetime(2022, 5, 6, 18, 11, 14, tzinfo=UTC), datetime(2052, 5, 6, 18, 11, 14, tzinfo=UTC)
    alias, _ = uploaded(every_face, made=dated("CN=localhost,OU=localhost,C=LK", begins, ends))

    assert every_face.ask("GET", f"/{alias}").json() == {
        "status": "Active",
        "validity": {"from": "Fri May 06 18:11:14 UTC 2022", "to": "Mon May 06 18:11:14 UTC 2052"},
        "version": "3",
        "subject": "CN=localhost, OU=localhost, C=LK",
    }


def test_content_is_der_to_be_kept_as_a_file(every_face: Face) -> None:
    made = self_signed()
    alias, _ = uploaded(every_face, made=made)

    for accepted in ("application/octet-stream", "application/json", "*/*"):
        answer = every_face.ask("GET", f"/{alias}/content", headers={"Accept": accepted})
        assert answer.content == made.der
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == f'attachment; filename="{alias}.crt"'


def test_replaced_certificate_keeps_its_endpoint(every_face: Face) -> None:
    alias, endpoint = uploaded(every_face)
    successor = self_signed()

    answer = every_face.replace(alias, successor)

    assert (answer.status_code, answer.json()) == (200, {"alias": alias, "endpoint": endpoint})
    assert every_face.ask("GET", f"/{alias}/content").content == successor.der


def test_replacing_a_certificate_by_itself_is_a_success(face: Face) -> None:
    made = self_signed()
    alias, endpoint = uploaded(face, made=made)

    answer = face.replace(alias, made)

    assert (answer.status_code, answer.json()) == (200, {"alias": alias, "endpoint": endpoint})


def test_successor_has_to_be_valid(face: Face) -> None:
    alias, _ = uploaded(face)
    expired = self_signed(days=1, not_before=datetime.now(UTC) - timedelta(days=2))

    body = assert_error(face.replace(alias, expired), 400, "Bad Request")

    assert "Certificate Expired" in body["description"]


def test_deleted_certificate_is_gone(every_face: Face) -> None:
    alias, endpoint = uploaded(every_face)

    answer = every_face.ask("DELETE", f"/{alias}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert every_face.found(endpoint=endpoint) == []
    assert_error(every_face.ask("DELETE", f"/{alias}"), 404, "Not Found")


UNKNOWN = [("GET", ""), ("GET", "/content"), ("PUT", ""), ("DELETE", "")]


def about_unknown(face: Face, method: str, alias: str, path: str) -> httpx.Response:
    files = {"certificate": ("c.crt", self_signed().pem)} if method == "PUT" else None
    return face.ask(method, f"/{alias}{path}", files=files)


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_unknown_alias_is_not_found(every_face: Face, method: str, path: str) -> None:
    assert_error(about_unknown(every_face, method, "nobody", path), 404, "Not Found")


@pytest.mark.parametrize("alias", ["two%20words", "gr%C3%B6%C3%9Fe", "%00", "a" * 300])
@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_what_can_be_no_alias_is_not_found(newest_face: Face, method: str, path: str, alias: str) -> None:
    assert_error(about_unknown(newest_face, method, alias, path), 404, "Not Found")


def test_alias_is_found_whatever_its_case(face: Face) -> None:
    alias, _ = uploaded(face)

    assert face.ask("GET", f"/{alias.upper()}").status_code == 200
