"""Whatever way a certificate came into the column, it is read; what is none gives none."""

from __future__ import annotations

import base64

import pytest

from tests.certificates import self_signed
from trustcast_cli.wso2.stored import certificates_in

MADE = self_signed("backend.example")
OTHER = self_signed("other.example")


@pytest.mark.parametrize(
    "stored",
    [
        base64.b64encode(MADE.pem),
        base64.b64encode(MADE.der),
        base64.encodebytes(MADE.der),
        MADE.pem,
        MADE.der,
        b"\n" + MADE.pem.replace(b"\n", b"\r\n"),
        b"Bag Attributes\n    friendlyName: backend\n" + MADE.pem,
        b"\\x" + base64.b64encode(MADE.pem).hex().encode(),
        b"0x" + MADE.der.hex().upper().encode(),
        base64.b64encode(MADE.pem).hex().encode(),
    ],
    ids=["pem", "der", "lines", "bare-pem", "bare-der", "crlf", "bag", "postgresql-hex", "mssql-hex", "oracle-hex"],
)
def test_every_way_to_store_it_is_read(stored: bytes) -> None:
    assert certificates_in(stored) == (MADE.der,)


def test_all_certificates_of_a_chain_are_read_in_their_order() -> None:
    assert certificates_in(base64.b64encode(MADE.pem + OTHER.pem)) == (MADE.der, OTHER.der)
    assert certificates_in(MADE.der + OTHER.der) == (MADE.der, OTHER.der)


@pytest.mark.parametrize(
    "stored",
    [b"", b"(BLOB)", b"no certificate", MADE.der[:-1], MADE.der + b"\0", base64.b64encode(b"hello"), MADE.key_pem],
)
def test_what_is_no_certificate_gives_none(stored: bytes) -> None:
    assert certificates_in(stored) == ()
