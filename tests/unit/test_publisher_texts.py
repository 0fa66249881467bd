"""Dates and names as Java prints them; tests/interop holds them against a JVM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from trustcast_api.publisher import java_text


def test_date_is_javas_text_in_utc() -> None:
    at = datetime(2022, 5, 6, 23, 41, 14, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert java_text.date(at) == "Fri May 06 18:11:14 UTC 2022"


def test_every_day_and_month_has_its_name() -> None:
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=count) for count in range(365)]

    assert [java_text.date(day) for day in days] == [f"{day:%a %b %d} 00:00:00 UTC 2026" for day in days]


def test_name_begins_with_the_most_specific_part() -> None:
    name = x509.Name.from_rfc4514_string("CN=localhost,OU=localhost,C=LK")

    assert java_text.name(name) == "CN=localhost, OU=localhost, C=LK"


def test_parts_of_several_attributes_stay_together() -> None:
    part = x509.RelativeDistinguishedName([_common_name("web"), x509.NameAttribute(NameOID.USER_ID, "7")])

    assert java_text.name(x509.Name([part])) == "CN=web + UID=7"


def test_type_without_a_keyword_is_a_number() -> None:
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4"), "it")])

    assert java_text.name(name) == "OID.1.2.3.4=it"


def test_bits_are_hexadecimal() -> None:
    bits = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\xab", x509.name._ASN1Type.BitString)  # noqa: SLF001

    assert java_text.name(x509.Name([bits])) == "OID.2.5.4.45=#00ab"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ACME, Inc.", '"ACME, Inc."'),
        ("a+b", '"a+b"'),
        (" a", '" a"'),
        ("a ", '"a "'),
        ("a  b", '"a  b"'),
        ('a"b', r'"a\"b"'),
        (r"a\b", r'"a\\b"'),
        ('"a"', '"a"'),
        ("Größe", "Größe"),
    ],
)
def test_what_could_be_misread_is_quoted(value: str, text: str) -> None:
    assert java_text.name(x509.Name([_common_name(value)])) == f"CN={text}"


def _common_name(value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, value)
