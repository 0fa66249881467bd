"""Which certificate a row means: the truststore's where it has one; never another tenant's."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

import pytest

from tests.certificates import Made, authority, self_signed
from tests.wso2 import PASSWORD, password_file
from trustcast.keystore import jks
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import matching, truststore
from trustcast_cli.wso2.matching import Match, matched
from trustcast_cli.wso2.rows import Row
from trustcast_cli.wso2.truststore import GatewayTruststore

A = self_signed("a.example")
B = self_signed("b.example")
CA = authority("Public CA")
SUPER = -1234


def row(
    alias: str = "Orders", tenant_id: int = SUPER, certificate: bytes | None = None, endpoint: str = "https://a.example"
) -> Row:
    return Row(tenant_id, alias, endpoint, certificate)


def stored(*those: Made) -> bytes:
    return base64.b64encode(b"".join(made.pem for made in those))


def match(row: Row, *others: Row, **entries: bytes) -> Match:
    return matched([row, *others], GatewayTruststore(entries))[0]


def codes(match: Match) -> list[str]:
    return [note.code for note in match.notes]


def doubt(match: Match) -> str | None:
    return None if match.doubt is None else match.doubt.code


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


def test_a_tenants_entry_is_never_taken_for_a_row_whose_plain_alias_it_is() -> None:
    rows = [row("Web", 5), row("weB_5", 7, stored(B)), row("WEB_5", 8)]

    five, seven, eight = matched(rows, GatewayTruststore({"web_5": A.der}))

    assert (five.der, five.entry, codes(five)) == (A.der, "web_5", [])
    assert (seven.der, seven.entry, codes(seven)) == (B.der, None, ["not_in_truststore"])
    assert eight.missing == (
        "The truststore has no certificate web_5_8 (web_5 may be that of the alias 'Web' of the tenant 5), "
        "and the database holds none."
    )


@pytest.mark.parametrize("there", [CA, A])
def test_a_plain_alias_that_the_database_contradicts_is_not_the_tenants(there: Made) -> None:
    """It may be a CA that came with the JVM, or be left over from another time."""
    found = match(row("DigiCert", 8, stored(B)), digicert=there.der)

    assert (found.der, found.entry, codes(found)) == (B.der, None, ["not_in_truststore"])


def test_a_plain_alias_is_not_the_tenants_because_its_ca_stands_in_the_chain() -> None:
    assert match(row("DigiCert", 8, stored(B, CA)), digicert=CA.der).der == B.der


def test_a_plain_alias_that_the_database_confirms_is_the_tenants() -> None:
    found = match(row("Orders", 3, stored(B)), row("ORDERS", 4, stored(A)), orders=B.der)

    assert (found.der, found.entry, codes(found)) == (B.der, "orders", [])


def test_the_same_certificate_under_another_rows_name_is_still_that_rows_entry() -> None:
    found = match(row("Orders", 3, stored(A)), row("ORDERS"), orders=A.der)

    assert (found.der, found.entry, codes(found)) == (A.der, None, ["not_in_truststore"])


def test_a_plain_alias_with_an_unreadable_column_is_not_taken() -> None:
    found = match(row("Orders", 3, b"(BLOB)"), orders=A.der)

    assert found.missing == (
        "The truststore has no certificate orders_3 (orders may be anybody's), "
        "and what stands in the database is not a certificate."
    )


def test_a_plain_alias_serves_another_tenant_where_nobody_else_has_it_and_says_what_is_assumed() -> None:
    found = match(row("Orders", 3), row("payments"), orders=A.der)

    assert (found.der, found.entry, codes(found)) == (A.der, "orders", ["plain_alias_taken"])


@pytest.mark.parametrize(
    ("made", "endpoint"), [(B, "https://a.example"), (CA, "https://a.example"), (A, "http://a.example")]
)
def test_a_plain_alias_for_another_endpoint_is_reported(made: Made, endpoint: str) -> None:
    found = match(row("Orders", 3, endpoint=endpoint), orders=made.der)

    assert (found.der, doubt(found)) == (None, "plain_alias_doubtful")


@pytest.mark.parametrize("other", [SUPER, 4, 3])
def test_one_rows_entry_is_never_taken_for_anothers(other: int) -> None:
    found = match(row("Orders", 3), row("ORDERS", other), orders=A.der)

    assert found.der is None
    assert found.missing == (
        f"The truststore has no certificate orders_3 (orders may be that of the alias 'ORDERS' of the tenant {other}), "
        "and the database holds none."
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (row("Web_5"), row("wEb", 5)),
        (row("Web_5", certificate=stored(B)), row("wEb", 5)),
        (row("Web_5", certificate=stored(B)), row("wEb", 5, stored(B))),
        (row("Web", 5), row("WEB", 5)),
    ],
)
def test_an_entry_that_two_rows_claim_is_neithers(first: Row, second: Row) -> None:
    found = matched([first, second], GatewayTruststore({"web_5": A.der}))

    assert [(one.der, one.entry, doubt(one)) for one in found] == [(None, "web_5", "alias_claimed_twice")] * 2
    assert found[0].doubt
    assert f"that of the alias {second.alias!r} of the tenant 5" in found[0].doubt.detail


def test_an_entry_that_two_rows_claim_is_that_rows_whose_certificate_it_is() -> None:
    rows = [row("web_5", certificate=stored(B)), row("web", 5, stored(A)), row("WEB_5")]

    owner, tenant, other = matched(rows, GatewayTruststore({"web_5": A.der}))

    assert (owner.der, owner.entry, codes(owner)) == (B.der, None, ["not_in_truststore"])
    assert (tenant.der, tenant.entry, codes(tenant)) == (A.der, "web_5", [])
    assert other.missing.startswith("The truststore's certificate web_5 is that of the alias 'web' of the tenant 5, ")


def test_the_super_tenants_second_name_may_be_another_row() -> None:
    found = match(row("orders"), row("Orders_-1234"), **{"orders_-1234": A.der})

    assert found.der is None


def test_the_truststores_is_taken_where_both_name_the_endpoints_host() -> None:
    newer = self_signed("a.example")

    found = match(row(certificate=stored(A)), orders=newer.der)

    assert (found.der, codes(found)) == (newer.der, ["certificate_differs"])


def test_neither_is_taken_where_only_the_databases_names_the_endpoints_host() -> None:
    found = match(row(certificate=stored(A)), orders=B.der)

    assert (found.der, found.entry, doubt(found)) == (None, "orders", "certificate_doubtful")
    assert found.database_sha256 == A.fingerprint_sha256


def test_the_truststores_certificate_is_taken_where_the_two_differ() -> None:
    found = match(row(certificate=base64.b64encode(B.pem)), orders=A.der)

    assert (found.der, codes(found)) == (A.der, ["certificate_differs"])
    assert found.database_sha256 == sha256(B.der).hexdigest()


def test_a_chain_that_holds_the_truststores_certificate_does_not_differ() -> None:
    found = match(row(certificate=base64.b64encode(B.pem + A.pem)), orders=A.der)

    assert (found.der, found.database_sha256, codes(found)) == (A.der, A.fingerprint_sha256, [])


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
