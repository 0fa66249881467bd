"""A truststore's content: applying changes and the digest over it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustcast.domain.errors import Untrusted
from trustcast.domain.truststore import ChangeSet, Truststore

ALIASES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,6}", fullmatch=True)
FINGERPRINTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
ENTRIES = st.dictionaries(ALIASES, FINGERPRINTS, max_size=12)
CHANGES = st.builds(ChangeSet, put=ENTRIES, remove=st.frozensets(ALIASES, max_size=6))
A, B = "a" * 64, "b" * 64


def digest(entries: dict[str, str]) -> str:
    """The design's definition, written down once more."""
    lines = "".join(f"{alias}\0{fingerprint}\n" for alias, fingerprint in sorted(entries.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def test_empty_truststore_has_the_digest_of_nothing() -> None:
    assert Truststore().digest() == hashlib.sha256(b"").hexdigest()


def test_digest_of_two_entries_is_this_one_for_ever() -> None:
    known = "117eb02166467984f446e802e885a854589348cacb6e5bfbf6c04976f48aa347"

    assert Truststore({"b.example": "2" * 64, "a": "1" * 64}).digest() == known


@given(ENTRIES)
def test_digest_is_over_the_canonical_list_whatever_order_entries_came_in(entries: dict[str, str]) -> None:
    backwards = dict(reversed(entries.items()))

    assert Truststore(backwards).digest() == Truststore(entries).digest() == digest(entries)


@given(ENTRIES, CHANGES)
def test_applying_changes_is_the_same_as_building_anew(entries: dict[str, str], changes: ChangeSet) -> None:
    expected = {alias: one for alias, one in entries.items() if alias not in changes.remove} | dict(changes.put)

    after = Truststore(entries).apply(changes)

    assert after.entries == expected
    assert after.digest() == digest(expected)
    assert (after == Truststore(expected), len(after)) == (True, len(expected))


@given(ENTRIES, CHANGES)
def test_applying_changes_leaves_the_old_one_as_it_was(entries: dict[str, str], changes: ChangeSet) -> None:
    before = Truststore(entries)

    before.apply(changes)

    assert (before.entries, before.digest()) == (entries, digest(entries))


def test_alias_both_removed_and_put_is_there() -> None:
    after = Truststore({"a": A}).apply(ChangeSet(put={"a": B}, remove=frozenset({"a"})))

    assert after.entries == {"a": B}


def test_truststores_are_equal_by_their_entries_alone() -> None:
    one = Truststore({"a": A, "b": B})

    assert one == Truststore({"b": B}).apply(ChangeSet(put={"a": A}))
    assert one not in (Truststore({"a": A}), Truststore({"a": A, "b": A}), Truststore({"a": B, "b": B}))
    assert one != Truststore({"a": A, "b": B, "c": A})
    assert one != {"a": A, "b": B}


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert Truststore({"a": A}).apply(ChangeSet(remove=frozenset({"b"}))) == Truststore({"a": A})


def test_alias_that_begins_like_another_is_another() -> None:
    entries = {"a": A, "a-b": A, "a.b": B, "ab": B}

    assert Truststore(entries).apply(ChangeSet(remove=frozenset({"a"}))).entries == {
        "a-b": A,
        "a.b": B,
        "ab": B,
    }


@pytest.mark.parametrize(
    ("alias", "fingerprint"),
    [
        ("", A),
        ("A", A),
        ("a\0" + B, A),
        ("a\n", A),
        ("é", A),
        ("-a", A),
        ("a" * 281, A),
        ("a b", A),
        ("a", ""),
        ("a", "A" * 64),
        ("a", A[:-1]),
        ("a", A + "\n"),
        ("a", "g" * 64),
    ],
)
def test_what_the_canonical_list_cannot_carry_is_refused(alias: str, fingerprint: str) -> None:
    with pytest.raises(Untrusted) as built:
        Truststore({alias: fingerprint})
    with pytest.raises(Untrusted) as applied:
        Truststore().apply(ChangeSet(put={alias: fingerprint}))

    assert built.value.code == applied.value.code == "entries_malformed"


def test_change_set_is_true_when_it_changes_something() -> None:
    assert not ChangeSet()
    assert ChangeSet(put={"a": A})
    assert ChangeSet(remove=frozenset({"a"}))
