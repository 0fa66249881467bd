"""Whose address stands in the audit chain: that of who connected, unless a proxy of ours tells of another one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.databases import PostgresServer
from tests.redis_server import RedisServer
from tests.served_api import ServedApi, add_environment, served

PEER = "127.0.0.1"
KEY = "-----BEGIN PRIVATE KEY-----"
Behind = Callable[[str], ServedApi]


@pytest.fixture(scope="module")
def behind(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, redis_server: RedisServer
) -> Iterator[Behind]:
    """An api that trusts these proxies; on PostgreSQL, which minds the length of what it stores."""
    running: dict[str, ServedApi] = {}
    with ExitStack() as closing:

        def made(proxies: str) -> ServedApi:
            if proxies not in running:
                url, folder = postgres.fresh(), Path(tmp_path_factory.mktemp("addresses"))
                add_environment(url, "other")
                more = {"TRUSTCAST_TRUSTED_PROXIES": proxies} if proxies else {}
                running[proxies] = closing.enter_context(served(folder, url, redis_server.url, more))
            return running[proxies]

        yield made


def recorded(api: ServedApi, *forwarded: str) -> str:
    """Change something with these headers, and return the address that is on record."""
    headers = [("X-Forwarded-For", one) for one in forwarded]
    body = {"type": "sandbox", "description": uuid.uuid4().hex}
    assert api.ask("PUT", "/v1/environments/other", headers=headers, json=body).status_code == 200
    events = api.ask("GET", "/v1/audit", params={"limit": 1000}).json()["events"]
    return str(events[-1]["address"])


@pytest.mark.parametrize("forwarded", ["192.0.2.7", "x" * 65, KEY])
def test_nobody_is_believed_where_no_proxy_is_named(behind: Behind, forwarded: str) -> None:
    assert recorded(behind(""), forwarded) == PEER


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["2001:DB8::7"], "2001:db8::7"),
        (["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        ([], PEER),
        (["", ","], PEER),
    ],
)
def test_last_address_that_is_none_of_a_proxy_is_the_clients(
    behind: Behind, forwarded: list[str], address: str
) -> None:
    assert recorded(behind("127.0.0.1, 10.0.0.0/8"), *forwarded) == address


@pytest.mark.parametrize("junk", ["x" * 65, "L" * 1_000_000, KEY, "fe80::1%" + "z" * 100, "192.0.2.7:80", "1" * 5000])
def test_what_is_no_address_is_not_recorded(behind: Behind, junk: str) -> None:
    api = behind("127.0.0.1, 10.0.0.0/8")

    assert (recorded(api, junk), recorded(api, f"{junk}, 10.1.2.3")) == (PEER, "10.1.2.3")


def test_header_without_end_of_proxies_costs_nothing(behind: Behind) -> None:
    assert recorded(behind("127.0.0.1, 10.0.0.0/8"), "10.1.2.3," * 100_000 + "10.1.2.3") == "10.1.2.3"
