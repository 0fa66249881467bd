"""A JKS is what Java's documentation says, byte for byte, and nothing that Java could not load is read or written."""

from __future__ import annotations

import hashlib
import struct

import jks as pyjks
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustcast.keystore import jks
from trustcast.keystore.jks import KeystoreError, RawEntry, trusted_entry

PASSWORD = "trüst 🔑"
DER = bytes.fromhex("3003020101")

# Written out by hand from the table in the module's docstring.
GOLDEN = bytes.fromhex(
    "feedfeed 00000002 00000001 00000002 0007 6261636b656e64 0000019b76daaae3 0005 582e353039 00000005 3003020101"
)

ders = st.binary(min_size=1, max_size=300)
aliases = st.text(max_size=40).map(str.lower)
stores = st.dictionaries(aliases, ders, max_size=20)


def digest(body: bytes, password: str = PASSWORD) -> bytes:
    return hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False).digest()


def key_entry(alias: str) -> RawEntry:
    """A private key's entry; its reader does not look into the encrypted key or the chain."""
    name = alias.encode()
    blocks = struct.pack(">I", 7) + b"ENCRYPT" + struct.pack(">I", 2)
    chain = 2 * (struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(DER)) + DER)
    return RawEntry(alias, struct.pack(">IH", 1, len(name)) + name + struct.pack(">Q", 77) + blocks + chain)


def code(data: bytes, password: str = PASSWORD) -> str:
    with pytest.raises(KeystoreError) as caught:
        jks.read(data, password)
    return caught.value.code


def test_the_bytes_are_those_of_the_format() -> None:
    written = jks.write([trusted_entry("Backend", DER)], PASSWORD)

    assert written == GOLDEN + digest(GOLDEN)


def test_an_empty_keystore_is_a_header_and_a_digest() -> None:
    written = jks.write([], "changeit")

    assert (
        written.hex()
        == "feedfeed0000000200000000" + digest(bytes.fromhex("feedfeed0000000200000000"), "changeit").hex()
    )


def test_the_same_bytes_as_pyjks_writes() -> None:
    entries = [trusted_entry(f"backend-{number}", DER * number) for number in range(1, 9)]
    theirs = [
        pyjks.TrustedCertEntry(alias=entry.alias, cert=entry.certificate, type="X.509", timestamp=1_767_225_600_739)
        for entry in entries
    ]

    assert jks.write(entries, PASSWORD) == pyjks.KeyStore.new("jks", theirs).saves(PASSWORD)


@given(stores)
def test_what_is_written_is_read(store: dict[str, bytes]) -> None:
    entries = [trusted_entry(alias, der) for alias, der in store.items()]

    assert jks.read(jks.write(entries, PASSWORD), PASSWORD) == entries


@given(stores)
def test_the_second_reader_reads_the_same_certificates(store: dict[str, bytes]) -> None:
    written = jks.write([trusted_entry(alias, der) for alias, der in store.items()], PASSWORD)

    expected = {alias: hashlib.sha256(der).hexdigest() for alias, der in store.items()}
    assert jks.second_reading(written, PASSWORD) == expected


@given(aliases, ders)
def test_an_entry_gives_its_certificate_back(alias: str, der: bytes) -> None:
    assert trusted_entry(alias, der).certificate == der


def test_aliases_are_lower_case_because_java_trusts_no_others() -> None:
    entry = trusted_entry("Payments.Example-COM", DER)

    assert entry == trusted_entry("payments.example-com", DER)
    assert entry.alias == "payments.example-com"


@pytest.mark.parametrize(
    ("alias", "encoded"),
    [
        ("a\0b", "61c08062"),
        ("é", "c3a9"),
        ("€", "e282ac"),
        ("🔑", "eda0bdedb491"),
        ("\ud83d", "eda0bd"),
    ],
)
def test_aliases_are_in_modified_utf_8(alias: str, encoded: str) -> None:
    """Modified UTF-8: NUL in two bytes, surrogates one by one (Javadoc of java.io.DataInput)."""
    written = jks.write([trusted_entry(alias, DER)], PASSWORD)

    assert written[18 : 18 + len(encoded) // 2].hex() == encoded
    assert [entry.alias for entry in jks.read(written, PASSWORD)] == [alias]
    assert list(jks.second_reading(written, PASSWORD)) == [alias]


def test_an_alias_that_java_could_not_load_is_refused() -> None:
    plain = "🔑".encode()
    body = struct.pack(">IIIIH", 0xFEEDFEED, 2, 1, 2, len(plain)) + plain + trusted_entry("", DER).raw[6:]

    assert code(body + digest(body)) == "keystore_alias"


def test_an_alias_that_is_too_long_is_refused() -> None:
    with pytest.raises(KeystoreError) as caught:
        trusted_entry("é" * 32_768, DER)

    assert caught.value.code == "keystore_alias"


def test_private_keys_are_carried_through_byte_for_byte() -> None:
    entries = [trusted_entry("a", DER), key_entry("Server"), trusted_entry("b", DER)]

    read = jks.read(jks.write(entries, PASSWORD), PASSWORD)

    assert read == entries
    assert [entry.certificate for entry in read] == [DER, None, DER]


def test_the_second_reader_reports_trusted_certificates_only() -> None:
    written = jks.write([trusted_entry("a", DER), key_entry("server")], PASSWORD)

    assert list(jks.second_reading(written, PASSWORD)) == ["a"]


def test_only_entries_of_ours_bear_our_mark() -> None:
    theirs = RawEntry("key", key_entry("key").raw.replace(struct.pack(">Q", 77), struct.pack(">Q", 1_767_225_600_739)))

    assert trusted_entry("a", DER).is_ours
    assert not trusted_entry("a", DER, made_ms=1_767_225_600_738).is_ours
    assert not theirs.is_ours


def test_bytes_after_the_digest_are_ignored() -> None:
    entries = [trusted_entry("a", DER)]

    assert jks.read(jks.write(entries, PASSWORD) + b"more", PASSWORD) == entries


def test_every_truncation_is_noticed() -> None:
    whole = jks.write([trusted_entry("a", DER), key_entry("server")], PASSWORD)

    assert {code(whole[:length]) for length in range(len(whole))} == {"keystore_truncated"}


@given(st.data())
def test_every_changed_byte_is_noticed(data: st.DataObject) -> None:
    changed = bytearray(jks.write([trusted_entry("a", DER), key_entry("server")], PASSWORD))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(KeystoreError):
        jks.read(bytes(changed), PASSWORD)
    with pytest.raises(KeystoreError):
        jks.second_reading(bytes(changed), PASSWORD)


@given(st.binary(max_size=200).map(lambda rest: bytes.fromhex("feedfeed00000002") + rest))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for reader in (jks.read, jks.second_reading):
        with pytest.raises(KeystoreError):
            reader(data, PASSWORD)


def test_a_wrong_password_is_told_from_damage_in_the_structure() -> None:
    written = jks.write([trusted_entry("a", DER)], PASSWORD)

    assert code(written, "another") == "keystore_password"
    with pytest.raises(KeystoreError) as caught:
        jks.second_reading(written, "another")
    assert caught.value.code == "keystore_password"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "keystore_truncated"),
        (b"\x30\x82\x01\x00" + bytes(40), "keystore_not_jks"),
        (b"\xce\xce\xce\xce" + bytes(40), "keystore_not_jks"),
        (b"-----BEGIN CERTIFICATE-----", "keystore_not_jks"),
        (bytes.fromhex("feedfeed 00000001 00000000") + bytes(20), "keystore_version"),
        (bytes.fromhex("feedfeed 00000002 00000001 00000003") + bytes(40), "keystore_entry"),
        (bytes.fromhex("feedfeed 00000002 ffffffff") + bytes(20), "keystore_entry"),
    ],
)
def test_what_is_no_jks_is_named(data: bytes, expected: str) -> None:
    assert code(data) == expected


def test_a_pkcs12_file_gets_advice() -> None:
    with pytest.raises(KeystoreError, match=r"PKCS12.*keytool -importkeystore"):
        jks.read(b"\x30\x82\x01\x00", PASSWORD)


def test_two_entries_of_one_alias_are_refused_by_the_second_reader() -> None:
    written = jks.write([trusted_entry("a", DER), trusted_entry("A", DER)], PASSWORD)

    with pytest.raises(KeystoreError):
        jks.second_reading(written, PASSWORD)
