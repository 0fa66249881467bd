"""A PKCS12 file gives its certificates and nothing else, at a bounded cost; a key in it refuses it."""

from __future__ import annotations

import time
from functools import cache

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import key_stores
from tests.certificates import Made, self_signed
from tests.key_stores import (
    bag,
    certificate_bag,
    data,
    encrypted,
    encrypted_with,
    explicit,
    integer,
    mac_asking,
    octets,
    oid,
    pbes1,
    pbes2,
    pfx,
    seq,
    tlv,
    trusting,
)
from trustcast.domain import pem
from trustcast.domain.errors import Rejected
from trustcast.keystore import rc2
from trustcast.keystore.password_based import MAX_COST, Budget, derive
from trustcast.keystore.pkcs12 import MAX_ENTRIES, REASONS, Certificate, looks_like, read

PASSWORD = "a pässword"
DER = bytes.fromhex("3003020101")  # nothing in here looks into a certificate

VERDICTS = {*REASONS, "private_key", "read"}
MACS = [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]  # noqa: S303 - SHA-1 is what many files have

KEYS = {
    "a plain key": key_stores.KEY_BAG,
    "an encrypted key": key_stores.SHROUDED_BAG,
    "a secret": key_stores.SECRET_BAG,
}


@cache
def made() -> Made:
    return self_signed()


def code(file: bytes, password: str | None = PASSWORD) -> str:
    with pytest.raises(Rejected) as caught:
        read(file, password)
    assert caught.value.field in {"certificate", "password"}
    return caught.value.code


def verdict(file: bytes) -> str:
    """The code of the refusal, "read" for none."""
    try:
        read(file, PASSWORD)
    except Rejected as error:
        return error.code
    return "read"


def store(encryption: KeySerializationEncryption, *names: str) -> bytes:
    """A truststore as `cryptography` writes it."""
    entries = [pkcs12.PKCS12Certificate(made().certificate, name.encode()) for name in names]
    return pkcs12.serialize_java_truststore(entries, encryption)


def protected(
    algorithm: pkcs12.PBES = pkcs12.PBES.PBESv2SHA256AndAES256CBC, mac: hashes.HashAlgorithm | None = None
) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(50).key_cert_algorithm(algorithm)
    return builder.hmac_hash(mac or hashes.SHA256()).build(PASSWORD.encode())


@pytest.mark.parametrize("algorithm", [pkcs12.PBES.PBESv2SHA256AndAES256CBC, pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC])
@pytest.mark.parametrize("mac", MACS, ids=lambda mac: mac.name)
def test_what_cryptography_writes_is_read(algorithm: pkcs12.PBES, mac: hashes.HashAlgorithm) -> None:
    file = store(protected(algorithm, mac), "first", "sécond 🔑")

    assert read(file, PASSWORD) == [Certificate("first", made().der), Certificate("sécond 🔑", made().der)]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
@settings(max_examples=30)
def test_names_come_as_they_stand_in_the_file(names: list[str]) -> None:
    assert [each.alias for each in read(store(NoEncryption(), *names), None)] == names


@given(st.text(max_size=30))
@settings(max_examples=30)
def test_any_password_opens_its_file_and_no_other(password: str) -> None:
    file = pfx(encrypted_with(password, seq(certificate_bag(DER))))

    assert read(file, password) == [Certificate("backend", DER)]
    assert code(file, password + "x") == "keystore_password"


def test_a_file_without_any_protection_needs_no_password() -> None:
    assert read(trusting(DER), None) == [Certificate("backend", DER)]
    assert read(trusting(DER), PASSWORD) == [Certificate("backend", DER)]


def test_a_certificate_may_be_without_a_name() -> None:
    assert read(trusting(DER, None), None) == [Certificate(None, DER)]


@pytest.mark.parametrize("prf", ["sha1", "sha256", "sha512"])
def test_a_file_without_a_mac_is_read(prf: str) -> None:
    file = pfx(encrypted_with(PASSWORD, seq(certificate_bag(DER)), prf=prf))

    assert read(file, PASSWORD) == [Certificate("backend", DER)]


def test_a_mac_with_pbkdf2_is_verified() -> None:
    """RFC 9579."""
    safe = seq(data(seq(certificate_bag(DER))))
    file = seq(integer(3), data(safe), key_stores.pbmac1(PASSWORD, safe))
    other = seq(integer(3), data(safe), key_stores.pbmac1(PASSWORD, safe + b"\0"))

    assert read(file, PASSWORD) == [Certificate("backend", DER)]
    assert code(file, "another") == "keystore_password"
    assert code(other) == "keystore_password"


@pytest.mark.parametrize("salt", [b"", bytes(64), bytes(1024)], ids=len)
def test_salts_may_be_of_any_usual_length(salt: bytes) -> None:
    assert code(trusting(DER, mac=mac_asking(1, salt=salt))) == "keystore_password"
    assert code(trusting(DER, mac=mac_asking(1, salt=salt + bytes(1025)))) == "keystore_damaged"


def test_contents_come_in_the_order_of_the_file() -> None:
    contents = [encrypted_with(PASSWORD, seq(certificate_bag(DER, "a"))), data(seq(certificate_bag(DER, "b")))]

    assert [each.alias for each in read(pfx(*contents), PASSWORD)] == ["a", "b"]
    assert [each.alias for each in read(pfx(*reversed(contents)), PASSWORD)] == ["b", "a"]


def test_bags_in_bags_are_read() -> None:
    inner = bag(key_stores.NESTED_BAG, seq(certificate_bag(DER, "inside")))

    assert read(pfx(data(seq(inner))), None) == [Certificate("inside", DER)]


def test_a_missing_password_is_told_from_a_wrong_one() -> None:
    file = store(protected(), "backend")

    assert code(file, None) == "password_missing"
    assert code(file, "") == "keystore_password"
    assert code(file, "another") == "keystore_password"
    assert code(file, PASSWORD * 1000) == "keystore_password"


def test_a_missing_password_is_told_also_where_there_is_no_budget_for_a_second_spelling() -> None:
    file = trusting(DER, mac=mac_asking(MAX_COST // 4))

    assert code(file, None) == "password_missing"
    assert code(file, "") == "keystore_password"


def test_an_error_about_the_password_names_that_field() -> None:
    with pytest.raises(Rejected) as caught:
        read(store(protected(), "backend"), "another")

    assert caught.value.field == "password"
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("empty", [b"\0\0", b""], ids=["two zero octets", "nothing"])
def test_an_empty_password_is_taken_in_both_spellings(empty: bytes) -> None:
    safe = seq(data(seq(certificate_bag(DER))))
    key = derive("sha256", empty, key_stores.SALT, 3, 10, 32, Budget())
    digest = seq(seq(oid(key_stores.SHA256), tlv(5)), octets(hmac_sha256(key, safe)))
    file = seq(integer(3), data(safe), seq(digest, octets(key_stores.SALT), integer(10)))

    assert read(file, "") == read(file, None) == [Certificate("backend", DER)]


def test_a_mac_without_iterations_has_one() -> None:
    safe = seq(data(seq(certificate_bag(DER))))
    key = derive("sha256", PASSWORD.encode("utf-16-be") + b"\0\0", key_stores.SALT, 3, 1, 32, Budget())
    digest = seq(seq(oid(key_stores.SHA256)), octets(hmac_sha256(key, safe)))

    assert read(seq(integer(3), data(safe), seq(digest, octets(key_stores.SALT))), PASSWORD)


def hmac_sha256(key: bytes, content: bytes) -> bytes:
    mac = HMAC(key, hashes.SHA256())
    mac.update(content)
    return mac.finalize()


# Private keys


@pytest.mark.parametrize("kind", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("password", [PASSWORD, "another", "", None])
def test_a_key_in_the_open_is_refused_whatever_the_password_is(kind: str, password: str | None) -> None:
    key = bag(kind, octets(b"what this is nobody looks at"))
    file = pfx(encrypted_with(PASSWORD, seq(certificate_bag(DER))), data(seq(key)), mac=mac_asking(10**9))

    assert code(file, password) == "private_key"


@pytest.mark.parametrize("kind", KEYS.values(), ids=KEYS)
def test_an_encrypted_key_is_refused_once_it_is_seen(kind: str) -> None:
    file = pfx(encrypted_with(PASSWORD, seq(certificate_bag(DER), bag(kind, octets(b"key")))))

    assert code(file) == "private_key"
    assert code(file, "another") == "keystore_password"
    assert code(file, None) == "password_missing"


@pytest.mark.parametrize("kind", KEYS.values(), ids=KEYS)
def test_a_key_in_a_bag_in_a_bag_is_refused(kind: str) -> None:
    inner = bag(key_stores.NESTED_BAG, seq(bag(key_stores.NESTED_BAG, seq(bag(kind, octets(b"key"))))))

    assert code(pfx(data(seq(certificate_bag(DER), inner)))) == "private_key"


def test_a_key_is_named_rather_than_whatever_else_is_wrong() -> None:
    key, others = bag(key_stores.KEY_BAG, octets(b"key")), bag(key_stores.CRL_BAG, octets(b"crl"))
    unreadable = seq(oid(key_stores.ENVELOPED), explicit(seq()))

    assert code(pfx(unreadable, data(seq(others, key)))) == "private_key"


def test_whoever_sent_a_key_is_told_what_to_do() -> None:
    with pytest.raises(Rejected) as caught:
        read(pfx(data(seq(bag(key_stores.KEY_BAG, octets(b"key"))))), None)

    assert (caught.value.detail, caught.value.field) == (pem.REASONS["private_key"], "certificate")


@pytest.mark.parametrize("password", [PASSWORD, "another", None])
def test_a_key_store_of_cryptography_is_refused(password: str | None) -> None:
    key, certificate = made().key, made().certificate
    file = pkcs12.serialize_key_and_certificates(
        b"server", key, certificate, None, BestAvailableEncryption(PASSWORD.encode())
    )

    assert code(file, password) == "private_key"


# What else there may be


def _in_data(content: bytes) -> bytes:
    return pfx(data(content))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(_in_data(seq(bag(key_stores.CRL_BAG, octets(b"")))), "keystore_entry", id="crl"),
        pytest.param(_in_data(seq(bag("2a03", octets(b"")))), "keystore_entry", id="unknown bag"),
        pytest.param(_in_data(seq(certificate_bag(DER, kind=key_stores.SDSI))), "keystore_entry", id="sdsi"),
        pytest.param(pfx(seq(oid(key_stores.ENVELOPED), explicit(seq()))), "keystore_unsupported", id="enveloped"),
        pytest.param(
            seq(integer(3), seq(oid(key_stores.SIGNED), explicit(seq()))), "keystore_unsupported", id="signed"
        ),
        pytest.param(pfx(encrypted(seq(oid("2a03"), seq()), bytes(16))), "keystore_unsupported", id="cipher"),
        pytest.param(pfx(encrypted(pbes2(1, cipher="2a03"), bytes(16))), "keystore_unsupported", id="PBES2's cipher"),
        pytest.param(pfx(encrypted(pbes2(1, prf="2a03"), bytes(16))), "keystore_unsupported", id="PBES2's hash"),
        pytest.param(trusting(DER, mac=mac_asking(1, "2a03")), "keystore_unsupported", id="MAC's hash"),
        pytest.param(seq(integer(2), data(seq())), "keystore_damaged", id="version 2"),
        pytest.param(trusting(DER) + b"\0", "keystore_damaged", id="bytes behind it"),
        pytest.param(trusting(DER, mac=mac_asking(1) * 2), "keystore_damaged", id="two MACs"),
        pytest.param(trusting(DER, mac=mac_asking(0)), "keystore_damaged", id="no iterations"),
        pytest.param(trusting(DER, mac=mac_asking(-1)), "keystore_damaged", id="negative iterations"),
        pytest.param(pfx(encrypted(pbes2(1, iv=b"short"), bytes(16))), "keystore_damaged", id="short IV"),
        pytest.param(pfx(encrypted(pbes2(1), bytes(15))), "keystore_damaged", id="no whole block"),
        pytest.param(pfx(encrypted(pbes2(1), b"")), "keystore_damaged", id="no block"),
        pytest.param(
            _in_data(seq(bag(key_stores.CERTIFICATE_BAG, seq(), key_stores.named("a"), key_stores.named("b")))),
            "keystore_damaged",
            id="two names",
        ),
        pytest.param(
            seq(tlv(2, b"\3"), seq(oid(key_stores.DATA), b"\xa0\x80\x24\x80\x04\x02\x30\x00\0\0\0\0")),
            "keystore_damaged",
            id="BER",
        ),
        pytest.param(b"", "keystore_damaged", id="nothing"),
        pytest.param(b"\x30", "keystore_damaged", id="a tag"),
        pytest.param(b"\x30\x84\xff\xff\xff\xff", "keystore_truncated", id="4 GB"),
        pytest.param(b"\x30\x88" + b"\xff" * 8, "keystore_damaged", id="more than there is"),
    ],
)
def test_what_cannot_be_read_is_named(file: bytes, expected: str) -> None:
    assert code(file) == expected


def test_every_reason_is_one_for_the_person_who_uploads() -> None:
    assert [reason for reason in REASONS.values() if not reason.endswith(".")] == []


def test_more_entries_than_there_may_be_are_refused_wherever_they_are() -> None:
    def bags(number: int) -> bytes:
        return seq(*[certificate_bag(DER)] * number)

    assert len(read(pfx(data(bags(MAX_ENTRIES))), None)) == MAX_ENTRIES
    assert code(pfx(data(bags(MAX_ENTRIES + 1)))) == "keystore_too_large"
    assert code(pfx(data(bags(MAX_ENTRIES)), data(bags(1)))) == "keystore_too_large"
    assert code(pfx(data(seq(*[bag(key_stores.NESTED_BAG, bags(600))] * 2)))) == "keystore_too_large"
    assert code(pfx(data(bags(MAX_ENTRIES * 2)))) == "keystore_damaged"


@pytest.mark.parametrize("encryption", [NoEncryption(), protected()], ids=["open", "protected"])
def test_every_truncation_is_refused(encryption: KeySerializationEncryption) -> None:
    whole = store(encryption, "a", "b")

    found = {code(whole[:length]) for length in range(len(whole))}

    assert found == {"keystore_truncated", "keystore_damaged"}


@given(st.data())
@settings(max_examples=300)
def test_damage_raises_nothing_else(data: st.DataObject) -> None:
    whole = pfx(
        encrypted_with(PASSWORD, seq(certificate_bag(DER))), key_stores.data(seq(certificate_bag(DER))), mac=b""
    )
    changed = bytearray(data.draw(st.sampled_from([whole, store(protected(), "a")])))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))

    assert verdict(bytes(changed)) in VERDICTS


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    for file in (content, pfx(content), pfx(data(seq(content))), seq(integer(3), content)):
        assert verdict(file) in VERDICTS


# What it costs


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = seq(content)
    return content


def bags_in_bags(depth: int) -> bytes:
    content = seq(certificate_bag(DER))
    for _ in range(depth):
        content = seq(bag(key_stores.NESTED_BAG, content))
    return content


BILLION = 10**9
RANDOM = bytes(range(256)) * 1000
ATTACKS = {
    "PBKDF2": (pfx(encrypted(pbes2(BILLION), bytes(16))), "keystore_too_costly"),
    "PBKDF2, more than fits": (pfx(encrypted(pbes2(2**62), bytes(16))), "keystore_too_costly"),
    "PBKDF2, a number of 4 KB": (pfx(encrypted(pbes2(2**32768), bytes(16))), "keystore_damaged"),
    "PKCS12's derivation": (pfx(encrypted(pbes1(key_stores.TRIPLE_DES, BILLION), bytes(16))), "keystore_too_costly"),
    "the MAC": (trusting(DER, mac=mac_asking(BILLION)), "keystore_too_costly"),
    "in many small parts": (
        pfx(*[encrypted_with(PASSWORD, seq(certificate_bag(DER)), iterations=MAX_COST // 20)] * 30),
        "keystore_too_costly",
    ),
    "as much as is allowed, PBKDF2": (pfx(encrypted(pbes2(MAX_COST), bytes(16))), "keystore_password"),
    "as much as is allowed, SHA-512": (
        pfx(encrypted(pbes2(MAX_COST // 2, prf=key_stores.HMAC_SHA512), bytes(16))),
        "keystore_password",
    ),
    "as much as is allowed, the MAC": (
        trusting(DER, mac=mac_asking(MAX_COST // 4, key_stores.SHA512)),
        "keystore_password",
    ),
    "RC2, a large one": (pfx(encrypted(pbes1(key_stores.RC2_40, 1), RANDOM)), "keystore_password"),
    "deep": (_in_data(nested(20_000)), "keystore_damaged"),
    "deep from the start": (seq(integer(3), nested(20_000)), "keystore_damaged"),
    "bags in bags": (_in_data(bags_in_bags(4000)), "keystore_entry"),
    "empty elements for bags": (_in_data(seq(b"\x05\x00" * 130_000)), "keystore_damaged"),
    "empty elements for attributes": (
        _in_data(seq(bag(key_stores.CERTIFICATE_BAG, seq(), b"\x05\x00" * 130_000))),
        "keystore_damaged",
    ),
    "empty elements for contents": (pfx(b"\x05\x00" * 130_000), "keystore_damaged"),
    "many contents": (pfx(*[data(seq())] * 10_000), "keystore_damaged"),
    "a large salt": (trusting(DER, mac=mac_asking(1, salt=RANDOM)), "keystore_damaged"),
    "lengths that lie": (b"\x30\x82\x10\x00\x02\x01\x03\x30\x84\xff\xff\xff\xff" + bytes(0xFF7), "keystore_damaged"),
}


@pytest.mark.parametrize(("file", "expected"), ATTACKS.values(), ids=ATTACKS)
def test_no_file_takes_long(file: bytes, expected: str) -> None:
    began = time.thread_time()

    found = code(file)

    assert (found, time.thread_time() - began < 1) == (expected, True)


def test_a_billion_iterations_in_a_key_are_not_even_begun() -> None:
    shrouded = bag(key_stores.SHROUDED_BAG, seq(pbes2(BILLION), octets(bytes(64))))
    file = pfx(encrypted_with(PASSWORD, seq(shrouded)))
    began = time.thread_time()

    assert code(file) == "private_key"
    assert time.thread_time() - began < 0.1


def test_what_java_8_wrote_is_within_the_budget() -> None:
    """A MAC of 100,000 iterations, and 50,000 for the key and IV of RC2; with 3DES the key takes two digests."""
    assert MAX_COST >= 4 * (100_000 + 50_000 * 3)


# What it is made of


@pytest.mark.parametrize(
    ("password", "salt", "purpose", "iterations", "expected"),
    [
        ("smeg", "0a58cf64530d823f", 1, 1, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"),
        ("smeg", "0a58cf64530d823f", 2, 1, "79993dfe048d3b76"),
        ("smeg", "3d83c0e4546ac140", 3, 1, "8d967d88f6caa9d714800ab3d48051d63f73a312"),
        ("queeg", "05dec959acff72f7", 1, 1000, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"),
        ("queeg", "05dec959acff72f7", 2, 1000, "11dedad7758d4860"),
    ],
)
def test_keys_are_derived_as_others_do(password: str, salt: str, purpose: int, iterations: int, expected: str) -> None:
    """The examples that OpenSSL tests its own derivation with."""
    bmp = password.encode("utf-16-be") + b"\0\0"

    derived = derive("sha1", bmp, bytes.fromhex(salt), purpose, iterations, len(expected) // 2, Budget())

    assert derived.hex() == expected


@pytest.mark.parametrize(
    ("key", "plain", "ciphertext"),
    [
        ("ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"),
        ("3000000000000000", "1000000000000001", "30649edf9be7d2c2"),
        ("88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"),
    ],
)
def test_rc2_is_the_one_of_rfc_2268(key: str, plain: str, ciphertext: str) -> None:
    """Section 5; the examples whose effective size is that of the key."""
    decrypted = rc2.decrypt_cbc(bytes.fromhex(key), bytes(8), bytes.fromhex(ciphertext))

    assert decrypted.hex() == plain


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.binary(max_size=200))
def test_rc2_of_many_blocks_is_that_of_openssl(key: bytes, iv: bytes, content: bytes) -> None:
    blocks = content[: len(content) // 8 * 8]
    encryptor = Cipher(RC2(key), modes.CBC(iv)).encryptor()

    assert rc2.decrypt_cbc(key, iv, encryptor.update(blocks) + encryptor.finalize()) == blocks


@pytest.mark.parametrize("file", [store(NoEncryption(), "a"), store(protected(), "a"), seq(integer(3), data(seq()))])
def test_the_outline_tells_a_pkcs12_file(file: bytes) -> None:
    assert looks_like(file)
    assert looks_like(file[:-1])


@pytest.mark.parametrize("file", [b"", b"\x30", b"0" * 100, made().der, made().pem, seq(integer(2), data(seq()))])
def test_nothing_else_has_that_outline(file: bytes) -> None:
    assert not looks_like(file)
