"""The door for key stores: nothing but named certificates comes through, and no key, wherever it is hidden."""

from __future__ import annotations

import base64
import struct
import time
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import key_stores
from tests.certificates import Made, self_signed
from tests.key_stores import bag, certificate_bag, data, octets, pfx, seq, trusting
from trustcast.domain import pem
from trustcast.domain.errors import Rejected
from trustcast.keystore import jks, pkcs12
from trustcast.keystore.jks import RawEntry, trusted_entry
from trustcast_api.read_keystore import REASONS, Entry, certificate_of, is_keystore, read_keystore

PASSWORD = "trüst 🔑"
VECTORS = Path(cryptography_vectors.__file__).parent / "pkcs12"
PKCS8 = bytes.fromhex("302e020100300506032b657004220420") + bytes(range(32))  # an Ed25519 key


@cache
def made() -> Made:
    return self_signed()


def jks_of(*entries: RawEntry, password: str = PASSWORD) -> bytes:
    return jks.write(entries, password)


def key_entry(alias: str = "server") -> RawEntry:
    name = alias.encode()
    return RawEntry(
        alias, struct.pack(">IH", 1, len(name)) + name + struct.pack(">QI", 77, 7) + b"ENCRYPT" + struct.pack(">I", 0)
    )


def refusal(file: bytes, password: str | None = PASSWORD) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read_keystore(file, password)
    return caught.value


def code(file: bytes, password: str | None = PASSWORD) -> str:
    return refusal(file, password).code


def test_a_jks_gives_its_entries_in_their_order() -> None:
    other = self_signed("other.example")

    entries = read_keystore(jks_of(trusted_entry("b", made().der), trusted_entry("a", other.der)), PASSWORD)

    assert entries == [Entry("b", made().der), Entry("a", other.der)]


def test_a_pkcs12_file_gives_its_entries() -> None:
    assert read_keystore(trusting(made().der, "Bäckend"), None) == [Entry("Bäckend", made().der)]


def test_a_certificate_without_a_name_stops_no_other() -> None:
    file = pfx(data(seq(*[certificate_bag(made().der, name) for name in ("a", None, "b")])))

    assert [each.alias for each in read_keystore(file, None)] == ["a", None, "b"]


@given(st.text(max_size=20))
@settings(max_examples=30)
def test_aliases_come_as_they_stand_in_the_file(alias: str) -> None:
    """Whether they are legal here is for each entry's own request to say."""
    entry = RawEntry(alias, trusted_entry(alias, made().der).raw)

    assert [each.alias for each in read_keystore(jks_of(entry), PASSWORD)] == [alias.lower()]


def test_a_jks_needs_its_password() -> None:
    file = jks_of(trusted_entry("a", made().der))

    assert (refusal(file, None).code, refusal(file, None).field) == ("password_missing", "password")
    assert (refusal(file, "another").code, refusal(file, "another").field) == ("keystore_password", "password")
    assert code(file, "\ud83d") == "keystore_password"


def test_an_empty_password_is_one() -> None:
    assert read_keystore(jks_of(trusted_entry("a", made().der), password=""), "") == [Entry("a", made().der)]


@pytest.mark.parametrize("password", [PASSWORD, "another", None])
def test_a_jks_with_a_key_is_refused_whatever_the_password_is(password: str | None) -> None:
    refused = refusal(jks_of(trusted_entry("a", made().der), key_entry()), password)

    assert (refused.code, refused.detail, refused.field) == ("private_key", pem.REASONS["private_key"], "certificate")


def test_a_key_is_seen_in_a_damaged_jks() -> None:
    file = jks_of(key_entry(), trusted_entry("a", made().der))

    assert {code(file[:length]) for length in range(32, len(file))} == {"private_key"}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(b"\xfe\xed\xfe\xed", "keystore_truncated", id="the beginning of a JKS"),
        pytest.param(bytes.fromhex("feedfeed0000000100000000") + bytes(20), "keystore_version", id="JKS 1"),
        pytest.param(jks_of(), "keystore_empty", id="empty JKS"),
        pytest.param(pfx(data(seq())), "keystore_empty", id="empty PKCS12"),
        pytest.param(pfx(), "keystore_empty", id="PKCS12 without contents"),
        pytest.param(jks_of(trusted_entry("a", made().der)) + b"\0", "keystore_damaged", id="bytes behind a JKS"),
        pytest.param(trusting(made().der) + b"\0", "keystore_damaged", id="bytes behind a PKCS12 file"),
        pytest.param(jks_of(RawEntry("", b"\0\0\0\3" + bytes(40))), "keystore_entry", id="another kind of entry"),
        pytest.param(
            jks_of(*[trusted_entry(str(number), b"") for number in range(1001)]), "keystore_too_large", id="1,001"
        ),
    ],
)
def test_what_is_refused_is_named(file: bytes, expected: str) -> None:
    refused = refusal(file)

    assert (refused.code, refused.detail, refused.field) == (expected, REASONS[expected], "certificate")


def test_a_name_in_a_wrong_encoding_is_refused_with_a_jks_that_java_cannot_load() -> None:
    """In PKCS12 it is just no alias."""
    raw = trusted_entry("ab", made().der).raw

    assert code(jks_of(RawEntry("", raw[:6] + b"\xff\xff" + raw[8:]))) == "keystore_alias"
    assert [each.alias for each in read_keystore(trusting(made().der, b"\0a\xd8\x00"), None)] == ["a\ufffd"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(b"", "keystore_entry", id="nothing"),
        pytest.param(b"\x30\x03\x02\x01\x01", "keystore_entry", id="something else"),
        pytest.param(made().pem, "keystore_entry", id="PEM"),
        pytest.param(made().der + b"\0", "keystore_entry", id="bytes behind a certificate"),
        pytest.param(made().der[:-1], "keystore_entry", id="a certificate without its end"),
        pytest.param(
            seq(seq(key_stores.integer(1), octets(bytes(65_536)))), "certificate_too_large", id="more than 64 KB"
        ),
    ],
)
def test_what_is_no_certificate_is_told_of_its_entry(entry: bytes, expected: str) -> None:
    file = jks_of(trusted_entry("a", made().der), trusted_entry("b", entry))

    good, bad = read_keystore(file, PASSWORD)

    assert certificate_of(good) == made().der
    with pytest.raises(Rejected) as refused:
        certificate_of(bad)
    assert (refused.value.code, refused.value.field) == (expected, "certificate")


def test_a_key_behind_an_entry_that_is_no_certificate_is_found() -> None:
    entries = [trusted_entry("a", b"\x30\x00"), trusted_entry("b", made().der)]

    assert code(jks_of(*entries, trusted_entry("c", PKCS8))) == "private_key"
    assert code(jks_of(*entries, key_entry())) == "private_key"


HIDDEN = {
    "as it is": PKCS8,
    "in base64": base64.b64encode(PKCS8),
    "in PEM": b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(PKCS8),
}


def certificate_with(secret: bytes) -> bytes:
    """What has the outline of a certificate, and something in it that nobody asked for."""
    algorithm = seq(key_stores.oid("2a03"))
    fields = [key_stores.integer(1), algorithm, seq(), seq(), seq(), seq(), octets(bytes(200) + secret)]
    return seq(seq(*fields), algorithm, key_stores.tlv(3, b"\0"))


@pytest.mark.parametrize("secret", HIDDEN.values(), ids=HIDDEN)
def test_a_key_that_is_hidden_in_a_certificate_is_found(secret: bytes) -> None:
    der = certificate_with(secret)

    assert read_keystore(trusting(certificate_with(b"")), None)
    assert code(trusting(der)) == "private_key"
    assert code(jks_of(trusted_entry("a", der))) == "private_key"


@pytest.mark.parametrize("secret", [base64.b64encode(PKCS8).decode(), "-----BEGIN PRIVATE KEY-----"])
def test_a_key_that_is_hidden_in_an_alias_is_found(secret: str) -> None:
    """In a JKS an alias is in lower case only if Java wrote it."""
    written = secret.encode()
    raw = struct.pack(">IH", 2, len(written)) + written + trusted_entry("", made().der).raw[6:]

    assert code(jks_of(RawEntry(secret, raw))) == "private_key"
    assert code(trusting(made().der, secret)) == "private_key"


def test_a_key_where_a_certificate_should_be_is_found() -> None:
    assert code(trusting(PKCS8)) == "private_key"
    assert code(trusting(PKCS8, None)) == "private_key"
    assert code(jks_of(trusted_entry("a", PKCS8))) == "private_key"


@pytest.mark.parametrize(
    "file",
    [
        b"",
        made().der,
        made().pem,
        b"\xce\xce\xce\xce\0\0\0\2" + bytes(40),  # JCEKS
        b"\0\0\0\2\0\0\0\x14" + bytes(40),  # BKS
        b"\0" + trusting(b""),
    ],
)
def test_what_is_no_key_store_is_read_otherwise(file: bytes) -> None:
    assert not is_keystore(file)


@pytest.mark.parametrize("file", [jks_of(), jks_of()[:5], pfx(), trusting(b"")[:40]])
def test_a_key_store_is_told_by_its_content(file: bytes) -> None:
    assert is_keystore(file)


def test_no_error_shows_the_password_or_what_was_sent() -> None:
    files = [jks_of(trusted_entry("canary", made().der)), trusting(made().der, "canary", key_stores.mac_asking(1))]

    told = [(refused := refusal(file, "swordfish"), refused.__cause__, refused.__context__) for file in files]

    assert [("swordfish" in repr(each), "canary" in repr(each)) for each in told] == [(False, False)] * 2


@given(st.data())
@settings(max_examples=200)
def test_damage_is_always_a_refusal(data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from([jks_of(trusted_entry("a", made().der)), trusting(made().der)])))
    for _ in range(data.draw(st.integers(1, 3))):
        file[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))

    verdict = "read"
    try:
        read_keystore(bytes(file), PASSWORD)
    except Rejected as error:
        verdict = error.code

    assert verdict in {*REASONS, "private_key", "certificate_too_large", "read"}


def _certificate_of(filler: bytes, size: int = 61_000) -> bytes:
    return certificate_with((filler * (size // len(filler) + 1))[:size])


FILLERS = {
    "what begins like a key": b"\x30\x80\x02\x01\x00\x30",
    "words": b"BEGIN PRIVATE",
    "base64": b"QUFB",
    "base64 in pieces": b"A" * 41 + b".",
    "UTF-16": b"A\0",
    "empty elements": b"\x05\x00",
    "tags": b"\x30",
}


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
@pytest.mark.parametrize("kind", ["PKCS12", "JKS"])
def test_no_certificates_take_long(filler: bytes, kind: str) -> None:
    """A request may have 256 KB."""
    ders = [_certificate_of(filler)] * 4
    file = pfx(data(seq(*map(certificate_bag, ders))))
    if kind == "JKS":
        file = jks_of(*[trusted_entry(str(number), der) for number, der in enumerate(ders)])
    began = time.thread_time()

    verdict = "read"
    try:
        read_keystore(file, PASSWORD)
    except Rejected as error:
        verdict = error.code

    assert verdict in {"read", "private_key"}
    assert time.thread_time() - began < 1


def test_a_jks_of_very_many_entries_does_not_take_long() -> None:
    file = jks_of(*[RawEntry("", struct.pack(">IHQHI", 2, 0, 0, 0, 0))] * 13_000)
    began = time.thread_time()

    assert code(file) == "keystore_too_large"
    assert time.thread_time() - began < 1


# The files of cryptography's own tests: with no password, the empty one, a wrong one, and the one that it takes.
KEY = ("private_key",) * 4
SEALED = ("password_missing", "keystore_password", "keystore_password", "read")
OPEN = ("read", "read", "keystore_password", "read")
EXPECTED = {
    "cert-aes256cbc-no-key.p12": SEALED,
    "cert-key-aes256cbc.p12": KEY,
    "cert-none-key-none.p12": KEY,
    "cert-rc2-key-3des.p12": KEY,
    "java-truststore.p12": OPEN,
    "name-1-no-pwd.p12": KEY,
    "name-1-pwd.p12": KEY,
    "name-2-3-no-pwd.p12": KEY,
    "name-2-3-pwd.p12": KEY,
    "name-2-no-pwd.p12": KEY,
    "name-2-pwd.p12": KEY,
    "name-3-no-pwd.p12": KEY,
    "name-3-pwd.p12": KEY,
    "name-all-no-pwd.p12": KEY,
    "name-all-pwd.p12": KEY,
    "name-unicode-no-pwd.p12": KEY,
    "name-unicode-pwd.p12": KEY,
    "no-cert-key-aes256cbc.p12": KEY,
    "no-cert-name-2-no-pwd.p12": OPEN,
    "no-cert-name-2-pwd.p12": SEALED,
    "no-cert-name-3-no-pwd.p12": OPEN,
    "no-cert-name-3-pwd.p12": SEALED,
    "no-cert-name-all-no-pwd.p12": OPEN,
    "no-cert-name-all-pwd.p12": SEALED,
    "no-cert-name-unicode-no-pwd.p12": OPEN,
    "no-cert-name-unicode-pwd.p12": SEALED,
    "no-cert-no-name-no-pwd.p12": OPEN,
    "no-cert-no-name-pwd.p12": SEALED,
    "no-name-no-pwd.p12": KEY,
    "no-name-pwd.p12": KEY,
    "no-password.p12": KEY,
}


def test_the_verdict_of_every_file_of_cryptography_is_known() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in VECTORS.glob("*.p12"))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_files_of_cryptography_get_their_verdicts(name: str) -> None:
    file = (VECTORS / name).read_bytes()
    right = "cryptography" if name.startswith("cert-") else "password" if "no-pwd" not in name else ""
    right = "" if name == "java-truststore.p12" else right

    def verdict(password: str | None) -> str:
        try:
            read_keystore(file, password)
        except Rejected as error:
            return error.code
        return "read"

    assert is_keystore(file)
    assert tuple(verdict(password) for password in (None, "", "wrong", right)) == EXPECTED[name]


def test_names_beyond_ascii_come_through() -> None:
    file = (VECTORS / "no-cert-name-unicode-pwd.p12").read_bytes()

    assert [entry.alias for entry in read_keystore(file, "password")] == ["☹", "ï"]


def test_a_bag_of_keys_is_refused_also_beside_certificates() -> None:
    key = bag(key_stores.SHROUDED_BAG, octets(b""))

    assert code(pfx(data(seq(certificate_bag(made().der), key)))) == "private_key"


def test_every_reason_of_the_formats_is_one_here() -> None:
    assert pkcs12.REASONS.items() <= REASONS.items()
