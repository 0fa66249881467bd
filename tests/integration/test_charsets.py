"""Forms come in UTF-8: no client chooses what its text is decoded with, for that is done while all others wait."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.certificates import self_signed
from tests.integration.test_api_doors import assert_problem
from tests.publisher import Face, assert_error
from tests.served_api import ServedApi

LARGE = "-" + "a" * 120_000 + "z" * 120_000  # takes punycode seconds
KINDS = ["punycode", '"punycode"', "PUNYCODE", "unicode_escape", "utf-7", "utf-16", "latin-1", "nonsense", "", '"']
ADDED = {"alias": "web", "endpoint": "https://web.example", "certificate": self_signed("web.example").pem.decode()}


def body(fields: dict[str, str], more: str = "") -> bytes:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{one}"\r\n{more}\r\n{ADDED[one]}\r\n' for one in fields]
    return ("".join(parts) + "--x--\r\n").encode()


def kind(charset: str, name: str = "charset") -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary=x; {name}={charset}"}


def send(api: ServedApi, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return api.ask("POST", "/v1/certificates", content=content, headers=headers)


@pytest.mark.parametrize("name", ["charset", "Charset"])
@pytest.mark.parametrize("charset", KINDS)
def test_other_charset_is_refused(api: ServedApi, charset: str, name: str) -> None:
    assert_problem(send(api, body(ADDED), kind(charset, name)), 400, "charset")


@pytest.mark.parametrize("charset", KINDS)
def test_other_charset_is_refused_under_their_addresses(face: Face, charset: str) -> None:
    assert_error(face.ask("POST", content=body(ADDED), headers=kind(charset)), 400, "Bad Request")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_costly_charset_costs_nothing(api: ServedApi, method: str) -> None:
    path = "/v1/certificates" if method == "POST" else "/v1/certificates/web"
    content = f'--x\r\nContent-Disposition: form-data; name="alias"\r\n\r\n{LARGE}\r\n--x--\r\n'.encode()
    began = time.monotonic()

    answer = api.ask(method, path, content=content, headers=kind("punycode") | {"If-Match": "*"})

    assert_problem(answer, 400, "charset")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', '"UTF-8"', "us-ascii", '"US-ASCII"'])
def test_charset_of_every_client_is_taken(fresh_api: ServedApi, charset: str) -> None:
    assert send(fresh_api, body(ADDED), kind(charset)).status_code == 202


def test_charset_of_a_part_decides_nothing(fresh_api: ServedApi) -> None:
    """RFC 7578, 4.4 and 4.5; whoever sends `_charset_` sends a field that there is not."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    plain = "Content-Type: text/plain; charset=punycode\r\n"

    assert send(fresh_api, body(ADDED, plain), headers).status_code == 202
    asking = b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\npunycode\r\n'
    assert_problem(send(fresh_api, asking + body(ADDED), headers), 400, "field_unknown")
