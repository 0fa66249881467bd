"""What an API calls, and which of that takes certificates."""

from __future__ import annotations

import pytest

from tests.certificates import self_signed
from tests.published import api
from trustcast.domain.errors import Rejected, RejectedMany
from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi, normal_type


def refusals(one: PublishedApi) -> list[tuple[str | None, str]]:
    with pytest.raises(RejectedMany) as refused:
        one.check()
    return [(error.field, error.code) for error in refused.value.errors]


@pytest.mark.parametrize("kind", ["HTTP/REST", "HTTP/SOAP"])
@pytest.mark.parametrize(
    "url",
    [
        "https://backend01:8443/{uri.var.id}",
        "https://backend.example/a/{what is this?#@}/b",
        "http://backend.example/plain",
        "http://[::1]:8080",
        "https://backend.example/".ljust(2048, "x"),
    ],
)
def test_url_of_a_supported_type_is_http_or_https(kind: str, url: str) -> None:
    api(production=url, type=kind).check()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wss://backend.example", "url_scheme"),
        ("jms:/queue", "url_scheme"),
        ("backend.example", "url_scheme"),
        ("", "url_characters"),
        ("https://backend.example/\n", "url_characters"),
        ("https://backend.example/{a\x00b}", "url_characters"),
        ("https://backend.example/".ljust(2049, "x"), "url_too_long"),
        ("https:///path", "endpoint_host"),
        ("http://", "endpoint_host"),
        ("https://{host}/path", "endpoint_host"),
        ("https://backend.example:{port}", "endpoint_port"),
        ("https://user:secret@backend.example", "endpoint_userinfo"),
        ("https://backend.example/a b", "endpoint_characters"),
    ],
)
def test_other_url_of_a_supported_type_is_refused(url: str, code: str) -> None:
    assert refusals(api(sandbox=url)) == [("endpoints.sandbox.urls[0]", code)]


@pytest.mark.parametrize("url", ["wss://backend.example", "jms:/queue?{x}", "anything at all", "https://:443"])
def test_api_of_another_type_may_call_what_it_likes(url: str) -> None:
    other = api(production=url, type="WS")

    other.check()

    assert other.endpoints() == set()


@pytest.mark.parametrize("kind", ["", "ws", "1WS", "WS ", "WS\n", "A" * 65, "\u00c4"])
def test_type_is_a_name_in_capitals(kind: str) -> None:
    assert refusals(api(type=kind)) == [("type", "api_type_invalid")]


def test_every_wrong_field_is_named_at_once() -> None:
    wrong = api(production=["https://a.example", "ftp://b.example", "https://"], sandbox=[], type="HTTP/REST")

    assert refusals(wrong) == [
        ("endpoints.production.urls[1]", "url_scheme"),
        ("endpoints.production.urls[2]", "endpoint_host"),
        ("endpoints.sandbox.urls", "urls_count"),
    ]


@pytest.mark.parametrize("urls", [(), ("https://a.example", "https://b.example")])
def test_single_endpoint_has_one_url(urls: tuple[str, ...]) -> None:
    one = PublishedApi(
        name="a",
        version="1",
        context="/a",
        provider="p",
        type="HTTP/REST",
        production=Backends(EndpointKind.SINGLE, urls),
    )

    assert refusals(one) == [("endpoints.production.urls", "urls_single")]


def test_list_of_urls_has_an_end() -> None:
    api(production=["https://a.example"] * 100).check()
    assert refusals(api(production=["https://a.example"] * 101)) == [("endpoints.production.urls", "urls_count")]


@pytest.mark.parametrize("field", ["name", "context", "provider", "production"])
def test_private_key_is_refused_wherever_it_was_pasted(field: str) -> None:
    key = self_signed().key_pem.decode().replace("\n", " ")

    with pytest.raises(Rejected) as refused:
        api(**{"name": "a"} | {field: key}).check()

    assert refused.value.code == "private_key"


def test_only_https_takes_certificates() -> None:
    mixed = api(
        production=["https://A.example/x", "http://b.example", "https://a.example:443"], sandbox="http://a.example"
    )

    assert mixed.endpoints() == {"https://a.example:443"}
    assert mixed.roles() == {("https://a.example:443", "production")}


def test_audit_sees_that_anything_changed() -> None:
    apis = [
        api(production="https://a.example/x"),
        api(production="https://a.example/y"),
        api(production=["https://a.example/x"]),
        api(sandbox="https://a.example/x"),
        api(production="https://a.example/x", provider="somebody else"),
    ]

    assert len({str(one.told()) for one in apis}) == len(apis)


def test_audit_learns_hosts_and_no_secret_of_a_url() -> None:
    told = api(production="https://a.example/x?key=s3cret", sandbox="http://b.example/?key=s3cret").told()

    assert "s3cret" not in str(told)
    assert told["production"] == ["https://a.example:443"]


def test_audit_tells_the_roles_apart() -> None:
    told = api(production="https://a.example", sandbox="https://b.example").told()

    assert (told["production"], told["sandbox"]) == (["https://a.example:443"], ["https://b.example:443"])


def test_only_urls_of_a_supported_type_decide_where_certificates_belong() -> None:
    rest, other = (api(production="https://a.example", type=kind) for kind in ("HTTP/REST", "WS"))

    assert rest.decisive() == other.roles() == {("https://a.example:443", "production")}
    assert other.decisive() == set()


def test_names_of_wso2_are_names_of_the_same() -> None:
    types = [normal_type(text) for text in ("HTTP", "SOAP", "HTTP/REST", "WS", "http")]

    assert types == ["HTTP/REST", "HTTP/SOAP", "HTTP/REST", "WS", "http"]
    assert EndpointKind("load_balance") is EndpointKind.LOAD_BALANCED
    with pytest.raises(ValueError, match="balance"):
        EndpointKind("balance")
