"""The door for many at once: an uploaded key store of trusted certificates -> its entries.

What may stand in one is exactly this: certificates, under names or (in PKCS12) without. A key, even one that nobody
could decrypt, or another kind of entry refuses the whole file, before a byte of it is stored. An entry whose name or
bytes are wrong stops no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustcast.domain import certificate_file, pem
from trustcast.domain.errors import Rejected
from trustcast.keystore import jks, pkcs12

REASONS: Final = pkcs12.REASONS | {
    "keystore_alias": (
        "A name in the key store is not in the encoding that its format asks for, so Java cannot load it either; make "
        "the key store anew from its certificates (keytool -importcert)."
    ),
    "keystore_empty": "The key store holds no certificate; check it with keytool -list.",
    "keystore_version": "The key store is a JKS of another version than 2; write it again with keytool.",
}

_JKS: Final = b"\xfe\xed\xfe\xed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be trusted: its bytes and its name as they stand in the file, None where it has no name.

    Whether they are a certificate and an alias is for its own line of the batch to say.
    """

    alias: str | None
    certificate: bytes


def is_keystore(data: bytes) -> bool:
    """Tell by content whether `data` is a JKS or PKCS12 file, sound or not. JCEKS and BKS are not read here."""
    return data.startswith(_JKS) or pkcs12.looks_like(data)


def read_keystore(data: bytes, password: str | None) -> list[Entry]:
    """Return the entries of a JKS or PKCS12 file, at least one, in their order.

    Raises `Rejected` with the code `private_key` or one of `REASONS`, and the field `certificate` or `password`.
    """
    entries = _jks(data, password) if data.startswith(_JKS) else _pkcs12(data, password)
    if not entries:
        raise _rejected("keystore_empty")
    for entry in entries:
        pem.refuse_private_key((entry.alias or "").encode("utf-8", "surrogatepass"), "certificate")
        pem.refuse_private_key(entry.certificate, "certificate")
    return entries


def certificate_of(entry: Entry) -> bytes:
    """Return an entry's certificate in DER; its outline is one's.

    Raises `Rejected` (`keystore_entry`, `certificate_too_large`) with the field `certificate`.
    """
    try:
        certificate_file.check_outline(entry.certificate)
    except Rejected as error:
        if error.code == "certificate_too_large":
            raise
        raise _rejected("keystore_entry") from None
    return entry.certificate


def _jks(data: bytes, password: str | None) -> list[Entry]:
    if jks.holds_private_key(data):
        raise Rejected("private_key", pem.REASONS["private_key"], field="certificate")
    if password is None:
        raise _rejected("password_missing")  # the certificates are in the open, but nothing else finds damage
    try:
        found = jks.read(data, password)
    except jks.KeystoreError as error:
        raise _rejected(error.code) from None
    if len(found) > pkcs12.MAX_ENTRIES:
        raise _rejected("keystore_too_large")
    if len(jks.write(found, password)) != len(data):  # Java ignores what stands behind the digest
        raise _rejected("keystore_damaged")
    return [Entry(each.alias, each.certificate) for each in found if each.certificate is not None]


def _pkcs12(data: bytes, password: str | None) -> list[Entry]:
    return [Entry(each.alias, each.der) for each in pkcs12.read(data, password)]


def _rejected(code: str) -> Rejected:
    field = "password" if code in {"keystore_password", "password_missing"} else "certificate"
    return Rejected(code, REASONS[code], field=field)
