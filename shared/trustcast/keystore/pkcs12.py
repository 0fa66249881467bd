"""Uploaded PKCS12 files (RFC 7292) -> the certificates in them; a file with a private key is refused.

    PFX         SEQUENCE { 3, ContentInfo (data: AuthenticatedSafe), MacData OPTIONAL }
    AuthenticatedSafe  SEQUENCE OF ContentInfo (data or encryptedData: SafeContents)
    SafeContents       SEQUENCE OF SafeBag { OID, [0] value, SET OF attribute OPTIONAL }

`cryptography` has a reader for these, which decrypts private keys wherever it finds them, as often hashed as the file
says: a billion times, if an attacker likes. Here a key is refused by its bag's type, before any hashing where it can
be seen without, and all hashing of one file has one `Budget`.

Only DER is read. Some old programs write BER, with lengths that are found out at the end; these files are refused,
and keytool makes others of them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from trustcast.domain import der, pem
from trustcast.domain.errors import Rejected
from trustcast.keystore import password_based
from trustcast.keystore.der_values import Value, explicit, natural, only, sequence, values
from trustcast.keystore.password_based import (
    Budget,
    Secret,
    TooCostlyError,
    UnsupportedError,
    WrongPasswordError,
)

MAX_ENTRIES: Final = 1000

REASONS: Final = {
    "keystore_truncated": "The end of the key store is missing; copy or export the whole file again.",
    "keystore_damaged": (
        "The key store is damaged, has bytes behind its end, or is not in DER; write it again "
        "(keytool -importkeystore -srckeystore file.p12 -destkeystore new.p12 -deststoretype PKCS12)."
    ),
    "keystore_unsupported": (
        "The key store is protected in a way that is not read here: by a signature, by a public key, or with an "
        "algorithm that neither Java nor OpenSSL uses by default; write it again "
        "(keytool -importkeystore -srckeystore file.p12 -destkeystore new.p12 -deststoretype PKCS12)."
    ),
    "keystore_too_costly": (
        "Opening the key store takes too much hashing; write it again with at most 100,000 iterations "
        "(keytool -importkeystore -J-Dkeystore.pkcs12.macIterationCount=10000 "
        "-J-Dkeystore.pkcs12.certPbeIterationCount=10000 -srckeystore file.p12 -destkeystore new.p12)."
    ),
    "keystore_too_large": "The key store holds more than 1,000 entries; upload it in parts.",
    "keystore_entry": (
        "The key store holds something that is neither an X.509 certificate nor a key; keep only trusted "
        "certificates in it."
    ),
    "keystore_password": (
        "The password does not open the key store, or the key store is damaged; check it with keytool -list."
    ),
    "password_missing": "The key store is protected; send its password in the field `password`.",
}

_LONGEST_PASSWORD: Final = 1024
_MOST_CONTENTS: Final = 64
_DEEPEST: Final = 4
_VERSION: Final = 3
_BMP_STRING: Final = 0x1E
_SET: Final = 0x31
_IMPLICIT_OCTETS: Final = 0x80  # [0] IMPLICIT OCTET STRING, in one piece

_PKCS7: Final = bytes.fromhex("2a864886f70d0107")
_DATA: Final = _PKCS7 + b"\x01"
_ENCRYPTED: Final = _PKCS7 + b"\x06"
_BAG: Final = bytes.fromhex("2a864886f70d010c0a01")
_KEY_BAGS: Final = {_BAG + number for number in (b"\x01", b"\x02", b"\x05")}  # plain, shrouded, secret
_CERTIFICATE_BAG: Final = _BAG + b"\x03"
_NESTED: Final = _BAG + b"\x06"
_X509: Final = bytes.fromhex("2a864886f70d01091601")
_FRIENDLY_NAME: Final = bytes.fromhex("2a864886f70d010914")

_LENGTH: Final = rb"(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)"
_OUTLINE: Final = re.compile(
    rb"\x30" + _LENGTH + rb"\x02\x01\x03\x30" + _LENGTH + rb"\x06\x09" + re.escape(_PKCS7), re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it stands in the file, its DER unread; `alias` is None where it has no friendlyName."""

    alias: str | None
    der: bytes


def looks_like(data: bytes) -> bool:
    """Tell by its outline whether `data` is a PKCS12 file, or the beginning of one; nothing says it can be read."""
    return _OUTLINE.match(data) is not None


def read(data: bytes, password: str | None) -> list[Certificate]:
    """Return all certificates in a PKCS12 file, in their order.

    One without a password is tried with the empty one. Raises `Rejected` with a code of `REASONS` or `private_key`.
    """
    try:
        found = _read(data, password)
    except TooCostlyError:
        raise _rejected("keystore_too_costly") from None
    except UnsupportedError:
        raise _rejected("keystore_unsupported") from None
    except ValueError:
        raise _rejected("keystore_damaged") from None
    if len(found) > MAX_ENTRIES:
        raise _rejected("keystore_too_large")
    return found


@dataclass(frozen=True, slots=True)
class _Outline:
    """A file whose parts are found, and in whose readable parts there is no key.

    `opened` holds the certificates of each of `contents` that is not encrypted, by its number.
    """

    safe: bytes
    mac_data: list[Value]
    contents: list[Value]
    opened: dict[int, list[Certificate]]


def _read(data: bytes, password: str | None) -> list[Certificate]:
    outline, budget = _outline(data), Budget()
    if password is not None and len(password) > _LONGEST_PASSWORD:
        raise _rejected("keystore_password")
    failures: tuple[type[Exception], ...] = (WrongPasswordError,)
    for secret in password_based.spellings(password or ""):
        with suppress(*failures):
            return _open(outline, secret, budget)
        # One spelling was within the budget: where it is not enough for a second, that is not the file's fault.
        failures = (WrongPasswordError, TooCostlyError)
    raise _rejected("password_missing" if password is None else "keystore_password")


def _outline(data: bytes) -> _Outline:
    """Find the parts. Keys that lie open are refused here: whatever the password is, and before any hashing."""
    if der.element(data).end > len(data):
        raise _rejected("keystore_truncated")
    version, auth_safe, *mac_data = sequence(only(data))
    if natural(version) != _VERSION or len(mac_data) > 1:
        raise ValueError("not a PFX of version 3")
    kind, content = _content(auth_safe)
    if kind != _DATA:
        raise UnsupportedError
    safe = content.expect(der.OCTET_STRING)
    contents = sequence(only(safe), _MOST_CONTENTS)
    plain = {number: _content(each)[1] for number, each in enumerate(contents) if _content(each)[0] == _DATA}
    opened = {number: _certificates(octets.expect(der.OCTET_STRING)) for number, octets in plain.items()}
    return _Outline(safe, mac_data, contents, opened)


def _open(outline: _Outline, secret: Secret, budget: Budget) -> list[Certificate]:
    """Check the MAC and read what is encrypted.

    A file without a MAC is read, too: a MAC does not tell who wrote the file, only that it was somebody who knew the
    password that came along with it. What is trusted is decided by who sent it, and by the policy.
    """
    for mac_data in outline.mac_data:
        password_based.verify_mac(mac_data, outline.safe, secret, budget)
    found: list[Certificate] = []
    for number, each in enumerate(outline.contents):
        found += outline.opened[number] if number in outline.opened else _decrypted(each, secret, budget)
    return found


def _decrypted(content_info: Value, secret: Secret, budget: Budget) -> list[Certificate]:
    """The certificates in an EncryptedData (RFC 5652, 8)."""
    kind, content = _content(content_info)
    if kind != _ENCRYPTED:
        raise UnsupportedError
    _version, encrypted = sequence(content)
    _kind, algorithm, ciphertext = sequence(encrypted)
    plain = password_based.decrypt(algorithm, ciphertext.expect(_IMPLICIT_OCTETS), secret, budget)
    try:
        return _certificates(plain)
    except ValueError:
        # One wrong password in 256 leaves something behind that looks like padding.
        raise WrongPasswordError from None


def _content(content_info: Value) -> tuple[bytes, Value]:
    """A ContentInfo: what kind it is of, and the content itself."""
    kind, content = sequence(content_info)
    return kind.expect(der.OBJECT_IDENTIFIER), explicit(content)


def _certificates(safe_contents: bytes, depth: int = 0) -> list[Certificate]:
    bags = [sequence(bag) for bag in sequence(only(safe_contents), MAX_ENTRIES + 1)]
    kinds = [kind.expect(der.OBJECT_IDENTIFIER) for kind, *_ in bags]
    if not _KEY_BAGS.isdisjoint(kinds):
        raise Rejected("private_key", pem.REASONS["private_key"], field="certificate")
    if len(bags) > MAX_ENTRIES:
        raise _rejected("keystore_too_large")
    found: list[Certificate] = []
    for kind, (_, value, *attributes) in zip(kinds, bags, strict=True):
        if kind == _NESTED and depth < _DEEPEST:
            found += _certificates(value.expect(der.CONTEXT_0), depth + 1)
        elif kind == _CERTIFICATE_BAG:
            found.append(Certificate(_alias(attributes), _certificate(explicit(value))))
        else:
            raise _rejected("keystore_entry")
    return found


def _certificate(bag: Value) -> bytes:
    """The DER in a CertBag."""
    kind, certificate = sequence(bag)
    if kind.expect(der.OBJECT_IDENTIFIER) != _X509:
        raise _rejected("keystore_entry")
    return explicit(certificate).expect(der.OCTET_STRING)


def _alias(attributes: list[Value]) -> str | None:
    """The friendlyName (RFC 2985, 5.5.1), with U+FFFD for what is none in UTF-16.

    Java's mark of a trusted certificate may be missing: OpenSSL sets none.
    """
    pairs = [sequence(each) for attribute_set in attributes for each in values(attribute_set.expect(_SET))]
    names = [name for kind, name in pairs if kind.expect(der.OBJECT_IDENTIFIER) == _FRIENDLY_NAME]
    if not names:
        return None
    (name,) = names
    return only(name.expect(_SET)).expect(_BMP_STRING).decode("utf-16-be", "replace")


def _rejected(code: str) -> Rejected:
    field = "password" if code in {"keystore_password", "password_missing"} else "certificate"
    return Rejected(code, REASONS[code], field=field)
