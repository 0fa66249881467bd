"""Which certificate a row means: the truststore's where it has one; never another tenant's."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.wso2 import PASSWORD, password_file
from trustcast.keystore import jks
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import matching, truststore
from trustcast_cli.wso2.matching import Match, matched
from trustcast_cli.wso2.rows import Row
from trustcast_cli.wso2.truststore import GatewayTruststore

A = self_signed("a.example")
B = self_signed("b.example")
SUPER = -1234


def row(alias: str = "Orders", tenant_id: int = SUPER, certificate: bytes | None = None) -> Row:
    return Row(tenant_id, alias, "https://a.example", certificate)


def match(row: Row, *others: Row, **entries: bytes) -> Match:
    return matched([row, *others], GatewayTruststore(entries))[0]


def codes(match: Match) -> list[str]:
    return [note.code for note in match.notes]


def test_an_alias_is_found_in_any_case() -> None:
    found = match(row("OrDers"), orders=A.der)

    assert (found.der, found.entry, codes(found)) == (A.der, "orders", [])


def test_the_super_tenants_alias_goes_before_the_one_with_its_id() -> None:
    entries = {"orders": A.der, "orders_-1234": B.der}

    assert match(row(), **entries).der == A.der
    assert match(row(), **{"orders_-1234": B.der}).der == B.der


def test_another_tenants_alias_has_its_id_behind_it() -> None:
    found = match(row("Orders", 3), orders=A.der, orders_3=B.der)

    assert (found.der, found.entry) == (B.der, "orders_3")


def test_a_plain_alias_serves_another_tenant_where_nobody_else_has_it() -> None:
    assert match(row("Orders", 3), row("payments"), orders=A.der).der == A.der


@pytest.mark.parametrize("other", [SUPER, 4])
def test_one_tenants_entry_is_never_taken_for_anothers(other: int) -> None:
    found = match(row("Orders", 3), row("ORDERS", other), orders=A.der)

    assert found.der is None
    assert found.missing == "The truststore has no certificate orders_3, and the database holds none."


def test_the_truststores_certificate_is_taken_where_the_two_differ() -> None:
    found = match(row(certificate=base64.b64encode(B.pem)), orders=A.der)

    assert (found.der, codes(found)) == (A.der, ["certificate_differs"])
    assert found.database_sha256 == sha256(B.der).hexdigest()


def test_a_chain_that_holds_the_truststores_certificate_does_not_differ() -> None:
    found = match(row(certificate=base64.b64encode(B.pem + A.pem)), orders=A.der)

    assert (found.der, found.database_sha256, codes(found)) == (A.der, None, [])


def test_what_only_the_database_has_is_taken_and_said() -> None:
    found = match(row(certificate=base64.b64encode(B.pem)))

    assert (found.der, found.entry, codes(found)) == (B.der, None, ["not_in_truststore"])


def test_an_unreadable_column_is_said() -> None:
    assert codes(match(row(certificate=b"(BLOB)"), orders=A.der)) == ["database_certificate_unreadable"]
    assert "what stands in the database is not a certificate" in match(row(certificate=b"(BLOB)")).missing


def test_a_private_key_of_that_name_is_no_certificate() -> None:
    found = matched([row()], GatewayTruststore({}, frozenset({"orders"})))[0]

    assert found.der is None
    assert "(the entry of this name is a private key)" in found.missing


def test_entries_that_no_row_names_are_listed() -> None:
    store = GatewayTruststore({"orders": A.der, "publicca": B.der, "another": B.der})

    assert matching.unnamed(matched([row()], store), store) == ["another", "publicca"]


def test_a_truststore_is_read_with_the_password_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "client-truststore.jks"
    path.write_bytes(jks.write([jks.trusted_entry("Orders", A.der)], PASSWORD))

    assert truststore.read(path, password_file(tmp_path)) == GatewayTruststore({"orders": A.der})


def test_an_entry_in_capitals_is_found_although_java_would_not_write_it(tmp_path: Path) -> None:
    path = tmp_path / "client-truststore.jks"
    raw = jks.trusted_entry("orders", A.der).raw.replace(b"orders", b"ORDERS")
    path.write_bytes(jks.write([jks.RawEntry("ORDERS", raw)], PASSWORD))

    assert truststore.read(path, password_file(tmp_path)).certificates.keys() == {"orders"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x30\x82\x01\x00" + bytes(64), "-importkeystore -srckeystore {} -destkeystore {}.converted.jks"),
        (jks.write([], "another"), "The truststore {} cannot be read: The password does not open the keystore"),
        (jks.write([jks.trusted_entry("a", A.der)], PASSWORD)[:-30], "ends in the middle"),
    ],
)
def test_a_truststore_that_cannot_be_read_says_what_to_do(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "client-truststore.jks"
    path.write_bytes(data)

    with pytest.raises(CannotRun) as caught:
        truststore.read(path, password_file(tmp_path))

    assert said.replace("{}", str(path)) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"nowhere\.jks cannot be read: No such file"):
        truststore.read(tmp_path / "nowhere.jks", password_file(tmp_path))
    with pytest.raises(CannotRun, match=r"nothing cannot be read: No such file"):
        truststore.read(tmp_path / "nowhere.jks", tmp_path / "nothing")
