"""A URL becomes scheme, host and port, or a refusal that names what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustcast.domain import endpoint
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://backend.example", "https://backend.example:443"),
        ("https://backend.example/", "https://backend.example:443"),
        ("HTTPS://Backend.EXAMPLE:8443/a?b#c", "https://backend.example:8443"),
        ("https://backend.example?x=https://other", "https://backend.example:443"),
        ("https://backend.example#@other", "https://backend.example:443"),
        ("https://backend.example/a@b:c", "https://backend.example:443"),
        ("https://backend.example:9443/{uri.var.id}/{x}?q={y}", "https://backend.example:9443"),
        ("https://backend.example/{a b}/{?x&y=@:}/{\u00e4}", "https://backend.example:443"),
        ("https://backend.example:9443{/id}{?q}", "https://backend.example:9443"),
        ("https://backend.example{?q}", "https://backend.example:443"),
        ("https://backend01", "https://backend01:443"),
        ("https://node.rack-7:8443", "https://node.rack-7:8443"),
        ("https://backend.example.", "https://backend.example:443"),
        ("https://backend", "https://backend:443"),
        ("https://backend1", "https://backend1:443"),
        ("https://node.zone2:8080", "https://node.zone2:8080"),
        ("https://3com.example", "https://3com.example:443"),
        ("https://7.example", "https://7.example:443"),
        ("https://backend.example:1", "https://backend.example:1"),
        ("https://backend.example:65535", "https://backend.example:65535"),
        ("https://my_service:8443", "https://my_service:8443"),
        ("https://10.0.0.1:8443", "https://10.0.0.1:8443"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]:443"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example:443"),
        ("https://B\u00dcCHER.example", "https://xn--bcher-kva.example:443"),
        ("https://bu\u0308cher.example", "https://xn--bcher-kva.example:443"),
        ("https://xn--strae-oqa.example", "https://xn--strae-oqa.example:443"),
    ],
)
def test_url_is_brought_to_its_normal_form(text: str, normal: str) -> None:
    parsed = Endpoint.parse(text)

    assert str(parsed) == normal
    assert Endpoint.parse(normal) == parsed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "endpoint_missing"),
        ("https://a.example/" + "x" * 300, "endpoint_too_long"),
        (" https://a.example", "endpoint_characters"),
        ("https://a.example\n", "endpoint_characters"),
        ("https://a.example/\tb", "endpoint_characters"),
        ("https://a.ex\u200bample", "endpoint_characters"),
        ("https://a.ex\u00a0ample", "endpoint_characters"),
        ("https://a.example/\ud800", "endpoint_characters"),
        ("https://a\0.example", "endpoint_characters"),
        ("http://a.example", "endpoint_scheme"),
        ("wss://a.example", "endpoint_scheme"),
        ("a.example", "endpoint_scheme"),
        ("https:/a.example", "endpoint_scheme"),
        ("//a.example", "endpoint_scheme"),
        ("https://user:secret@a.example", "endpoint_userinfo"),
        ("https://good.example\\@a.example", "endpoint_userinfo"),
        ("https://", "endpoint_host"),
        ("https:///path", "endpoint_host"),
        ("https://:443", "endpoint_host"),
        ("https://.", "endpoint_host"),
        ("https://a..example", "endpoint_host"),
        ("https://-a.example", "endpoint_host"),
        ("https://a.example\\b", "endpoint_host"),
        ("https://a%2eexample", "endpoint_host"),
        ("https://*.example", "endpoint_host"),
        ("https://{host}.example", "endpoint_host"),
        ("https://{host}", "endpoint_host"),
        ("https://a{b}.example", "endpoint_host"),
        ("https://{/host}", "endpoint_host"),
        ("https://a.example:{port}", "endpoint_port"),
        ("https://{a b}.example", "endpoint_host"),
        ("https://a.example/{a b", "endpoint_characters"),
        ("https://a.example/{a\tb}", "endpoint_characters"),
        ("https://a.example/{a} b", "endpoint_characters"),
        ("https://a.example/{a\u200bb}", "endpoint_characters"),
        ("https://" + "a" * 64 + ".example", "endpoint_host"),
        ("https://" + "\u00fc" * 64 + ".example", "endpoint_host"),
        ("https://127.1", "endpoint_host"),
        ("https://backend.1", "endpoint_host"),
        ("https://256.1.1.1", "endpoint_host"),
        ("https://010.0.0.1", "endpoint_host"),
        ("https://2130706433", "endpoint_host"),
        ("https://0x7f000001", "endpoint_host"),
        ("https://::1", "endpoint_host"),
        ("https://[::1", "endpoint_host"),
        ("https://[10.0.0.1]", "endpoint_host"),
        ("https://[backend]", "endpoint_host"),
        ("https://[backend.example]:8443", "endpoint_host"),
        ("https://[]", "endpoint_host"),
        ("https://[fe80::1%eth0]", "endpoint_host"),
        ("https://[::1]a", "endpoint_host"),
        ("https://stra\u00dfe.example", "endpoint_host"),
        ("https://\uff41.example", "endpoint_host"),
        ("https://a\u3002example", "endpoint_host"),
        ("https://\u00b5.example", "endpoint_host"),
        ("https://a.example:", "endpoint_port"),
        ("https://a.example:0", "endpoint_port"),
        ("https://a.example:65536", "endpoint_port"),
        ("https://a.example:443x", "endpoint_port"),
        ("https://a.example:+443", "endpoint_port"),
        ("https://a.example:\u0664\u0664\u0663", "endpoint_port"),
    ],
)
def test_other_text_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        Endpoint.parse(text)

    assert (refused.value.code, refused.value.field) == (code, "endpoint")
    assert refused.value.detail == endpoint.REASONS[code]


def test_url_has_at_most_255_characters() -> None:
    url = "https://backend.example/"

    assert Endpoint.parse(url.ljust(255, "x")).host == "backend.example"
    with pytest.raises(Rejected, match="255"):
        Endpoint.parse(url.ljust(256, "x"))


def test_name_has_at_most_253_characters() -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 61])

    assert len(name) == 253
    assert Endpoint.of_url(f"https://{name}").host == name
    for longer in (f"{name}b", f"{name}bb"):
        with pytest.raises(Rejected, match="host"):
            Endpoint.of_url(f"https://{longer}")


def test_http_url_has_another_default_port() -> None:
    assert str(Endpoint.of_url("http://backend.example/x")) == "http://backend.example:80"


@pytest.mark.parametrize(
    ("host", "parent"),
    [
        ("api.backend.example", "backend.example"),
        ("a.b.backend.example", "b.backend.example"),
        ("backend.example", None),  # no wildcard stands directly below a top level
        ("backend", None),
        ("10.0.0.1", None),
        ("2001:db8::1", None),
    ],
)
def test_parent_is_what_a_wildcard_for_the_host_names(host: str, parent: str | None) -> None:
    assert Endpoint("https", host, 443).parent == parent


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://Backend.example/x", "backend.example", None),
        ("https://backend.example:443", "backend.example", 443),
        ("https://[::1]:8443/{id}", "::1", 8443),
        ("https://[::1]", "::1", None),
        ("Backend.example", "backend.example", None),
        ("backend.example:443/x", "backend.example", 443),
        ("10.0.0.7", "10.0.0.7", None),
        ("[::1]", "::1", None),
        ("[::1]:8443", "::1", 8443),
    ],
)
def test_who_looks_for_a_url_without_a_port_means_every_port(text: str, host: str, port: int | None) -> None:
    assert endpoint.sought(text) == (host, port)


@pytest.mark.parametrize("text", ["", "http://backend.example", "user@backend.example", "a b", "::1", ":443"])
def test_what_is_no_host_cannot_be_looked_for(text: str) -> None:
    with pytest.raises(Rejected):
        endpoint.sought(text)


@given(st.text(max_size=300) | st.text(max_size=60).map("https://".__add__))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    try:
        parsed = Endpoint.parse(text)
    except Rejected:
        return

    assert Endpoint.parse(str(parsed)) == parsed
    assert parsed.host.isascii()
