"""What a listener remembers across restarts, and what it does when the memory is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from tests.stated_api import NOON, StatedApi, der, later
from trustcast.domain.errors import Unavailable
from trustcast.domain.truststore import Truststore
from trustcast_gateway.trusted_state import FILE, StateUnreadable, TrustedState, Verified, set_aside

Open = Callable[..., TrustedState]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the state in a folder of the test's, and closes whatever was opened."""
    with ExitStack() as closing:

        def open_(environment: str = "default", folder: Path = tmp_path) -> TrustedState:
            state = TrustedState.open(folder, environment)
            closing.callback(state.close)
            return state

        yield open_


def kept(state: TrustedState, api: StatedApi) -> TrustedState:
    """Let the state hold all that the api states."""
    put = api.generations[-1]
    truststore = Truststore({alias: sha256(der).hexdigest() for alias, der in put.items()})
    state.keep(Verified(api.head(), b"envelope", 0, put, frozenset(), truststore))
    return state


@pytest.fixture
def api() -> StatedApi:
    api = StatedApi()
    api.state({"a": der(1), "b": der(2)})
    return api


def test_new_state_holds_nothing(opened: Open, tmp_path: Path) -> None:
    state = opened(folder=tmp_path / "made" / "here")

    assert (state.last, state.generation, len(state.truststore)) == (None, 0, 0)


def test_what_was_kept_is_there_after_a_restart(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api).close()

    state = opened()

    assert (state.last, state.generation) == (api.head(), 1)
    assert dict(state.certificates()) == api.generations[-1]
    assert state.truststore.digest() == api.head().entries_sha256


def test_remembered_head_raises_the_floor_and_leaves_what_is_held(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    state = kept(opened(), api)
    api.put("c", der(3))
    state.remember(api.head(), b"envelope")
    state.close()

    state = opened()

    assert (state.last, state.generation, len(state.truststore)) == (api.head(), 1, 2)


def test_each_commit_is_synced_and_kept_from_others(opened: Open) -> None:
    database = opened()._database  # noqa: SLF001 - SQLite tells it only to the connection itself

    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_second_listener_on_the_same_folder_is_refused(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api)

    with pytest.raises(Unavailable) as refused:
        opened()

    assert refused.value.code == "state_in_use"


def test_damaged_entry_is_fetched_again_above_the_same_floor(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE entry SET der = ? WHERE alias = 'a'", (der(666),))
    database.close()

    state = opened()

    assert (state.last, state.generation, len(state.truststore)) == (api.head(), 0, 0)


@pytest.mark.parametrize(
    "content", [b"not a database, but as long as a header of SQLite's would be" * 20, b"\0" * 5000]
)
def test_file_of_something_else_is_unreadable(opened: Open, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(StateUnreadable):
        opened()


def test_torn_file_is_unreadable(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api).close()
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(StateUnreadable):
        opened()


def test_state_of_another_version_is_unreadable(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(StateUnreadable, match="99"):
        opened()


def test_unreadable_state_is_kept_beside_the_new_one(opened: Open, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"damaged" * 1000)
    (tmp_path / f"{FILE}-journal").write_bytes(b"of the damaged one")

    aside = set_aside(tmp_path, later(seconds=1))

    assert aside.read_bytes() == b"damaged" * 1000
    assert not (tmp_path / f"{FILE}-journal").exists()
    assert opened().last is None


def test_folder_that_cannot_be_made_is_said_in_a_sentence(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable) as refused:
        opened(folder=tmp_path / "file" / "state")

    assert refused.value.code == "state_not_writable"


def test_commit_that_fails_leaves_the_state_as_it_was(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    """A full disk, as SQLite reports it when the file may not grow."""
    state = kept(opened(), api)
    state._database.execute("PRAGMA max_page_count = 1")  # noqa: SLF001 - no smaller disk at hand
    put = {f"c{number}": b"x" * 5000 for number in range(50)}
    head = api.head()

    with pytest.raises(Unavailable) as full:
        state.keep(Verified(head, b"", 1, put, frozenset(), Truststore()))

    assert full.value.code == "disk_full"
    assert dict(state.certificates()) == api.generations[-1]
    assert state.generation == 1
    state.remember(head, b"again")


def test_state_of_another_environment_keeps_its_floor(opened: Open, tmp_path: Path, api: StatedApi) -> None:
    kept(opened(), api).close()
    other = opened("other")
    assert (other.last, other.generation) == (None, 0)
    other.close()

    state = opened()

    assert (state.last, state.generation) == (api.head(), 1)
    assert api.head().issued_at == NOON
