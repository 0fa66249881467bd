"""An uploaded file -> the certificate it is about, and the others of its chain.

Its content says which form it has, never its name: PEM (one certificate or a chain, in any order), DER, or PKCS #7
with certificates only (in PEM, DER or BER). `cryptography` would take the first of several certificates and overlook
private keys, text and byte-order marks around it (RFC 7468, 2 allows that to parsers). What is overlooked at the
door is stored, queued and logged behind it, so here each byte of a file belongs to a certificate of one chain or to
the wrapping around it, and private keys are refused before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trustcast.domain import chain as chains
from trustcast.domain import der as asn1
from trustcast.domain import pem, pkcs7
from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Rejected

MAX_BYTES = 64 * 1024
"""Of a certificate, in DER."""
MAX_FILE_BYTES = 256 * 1024
"""Of an uploaded file, as it was sent."""
MOST_CERTIFICATES = 20
"""In a file: a longer chain is none."""

REASONS = {
    "certificate_empty": "The certificate file is empty; upload the certificate in PEM or DER form.",
    "certificate_too_large": (
        "The certificate file is larger than 256 KB, or a certificate in it larger than 64 KB; upload the "
        "certificate alone, or with those that issued it."
    ),
    "too_many_certificates": (
        "The file holds more than 20 certificates; upload one certificate, or one with those that issued it."
    ),
    "several_certificates": (
        "The file holds certificates in DER one behind the other; upload a chain in PEM form, each certificate in a "
        "block of its own (openssl x509 -inform DER -in each.der >> chain.pem)."
    ),
    "trailing_bytes": (
        "There are bytes after the end of the certificate; write it again "
        "(openssl x509 -inform DER -in file.der -out certificate.pem)."
    ),
    "certificate_truncated": "The end of the certificate is missing; copy or export the whole file again.",
    "indefinite_length": (
        "The certificate is in BER with indefinite lengths, and it has to be in DER (RFC 5280, 4.1); export it "
        "again (openssl x509 -inform DER -in file.der -out certificate.pem) and upload that."
    ),
    "not_a_certificate": (
        "This is not an X.509 certificate in PEM or DER form; upload what the backend shows to its clients "
        "(openssl s_client -connect HOST:PORT </dev/null | openssl x509 -out certificate.pem)."
    ),
}

_FILE_NAME = "This is a file's name, and not what is in the file; with curl write certificate=@file."
_NAMES_A_FILE = re.compile(rb"[^\r\n\0]{1,255}\.(pem|crt|cer|der|p7b|p7c|p12|pfx|jks)", re.IGNORECASE)
_OTHERS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    ("This is a certificate signing request; upload the certificate that the CA made of it.", x509.load_der_x509_csr),
    ("This is a certificate revocation list; upload the backend's certificate.", x509.load_der_x509_crl),
    ("This is a bare public key; upload the certificate that holds it.", load_der_public_key),
)
_WHITESPACE = b" \t\r\n"
_LONG_LENGTHS = range(0x80, 0x85)
_OUTLINE = [asn1.SEQUENCE, asn1.SEQUENCE, asn1.BIT_STRING]
_LEAST_FIELDS, _MOST_FIELDS = 6, 10


class Anchor(StrEnum):
    """Which certificate of a chain is to be trusted: the server's own, or the CA at the top."""

    LEAF = "leaf"
    CA = "ca"


@dataclass(frozen=True, slots=True)
class Chosen:
    """`certificate` is the one to trust, `chain` the others of the file, upwards from the leaf; all in DER."""

    certificate: bytes
    chain: tuple[bytes, ...] = ()


def read(data: bytes, *, anchor: Anchor = Anchor.LEAF) -> Chosen:
    """Return the certificate that `data` is about, with the rest of its chain.

    Each of them is sound (`Certificate.parse`); whether it may be trusted is for the policy. Raises `Rejected` with
    the field `certificate` and a code of `REASONS` here, in `pem`, `pkcs7`, `chain` or `certificate`.
    """
    pem.refuse_private_key(data, "certificate")
    if not data.strip(_WHITESPACE):
        raise _rejected("certificate_empty")
    if len(data) > MAX_FILE_BYTES:
        raise _rejected("certificate_too_large")
    blocks = [data] if _is_binary(data) else _pem_blocks(data)
    found = list(dict.fromkeys(one for block in blocks for one in _certificates(block)))
    if len(found) > MOST_CERTIFICATES:
        raise _rejected("too_many_certificates")
    for one in found:
        if one != data:  # then it was searched as a part of something: now it is itself, byte by byte as it is stored
            pem.refuse_private_key(one, "certificate")
        Certificate.parse(one)
    return Chosen(found[0]) if len(found) == 1 else _chosen(found, anchor)


def check_outline(der: bytes) -> None:
    """Raise `Rejected` unless `der` is what looks like one certificate of at most `MAX_BYTES`, and nothing else."""
    _check_is_one_element(der)
    if len(der) > MAX_BYTES:
        raise _rejected("certificate_too_large")
    if not _has_outline_of_certificate(der):
        raise _something_else(der)


def _chosen(found: list[bytes], anchor: Anchor) -> Chosen:
    issuers = chains.issuers(found)
    links = chains.upwards(issuers)
    entry = links[0] if anchor is Anchor.LEAF else chains.top(issuers)
    return Chosen(entry, tuple(one for one in links if one != entry))


def _is_binary(data: bytes) -> bool:
    """'0' is a SEQUENCE's tag, but no text goes on with the long or the indefinite form of a length."""
    return len(data) > 1 and data[0] == asn1.SEQUENCE and data[1] in _LONG_LENGTHS


def _pem_blocks(data: bytes) -> list[bytes]:
    """Counted before anything is decoded: a hundred thousand of them fit into a file."""
    if data.count(pem.BEGIN) > MOST_CERTIFICATES:
        raise _rejected("too_many_certificates")
    blocks = pem.blocks(data)
    if not blocks:
        if _NAMES_A_FILE.fullmatch(data.strip(_WHITESPACE)):
            raise Rejected("not_a_certificate", _FILE_NAME, field="certificate")
        raise _rejected("not_a_certificate")
    return blocks


def _certificates(der: bytes) -> list[bytes]:
    """Of a certificate or of PKCS #7, whichever it is; the label that it had in PEM does not matter."""
    if not pkcs7.is_pkcs7(der):
        check_outline(der)
        return [der]
    _check_is_one_element(der, read=asn1.ber_element)
    try:
        found = pkcs7.certificates(der, at_most=MOST_CERTIFICATES + 1)
    except asn1.IndefiniteLengthError:
        raise _rejected("indefinite_length") from None
    if not all(map(_has_outline_of_certificate, found)):
        raise Rejected("pkcs7_other_certificate", pkcs7.REASONS["pkcs7_other_certificate"], field="certificate")
    if any(len(one) > MAX_BYTES for one in found):
        raise _rejected("certificate_too_large")
    return found


def _check_is_one_element(der: bytes, *, read: Callable[[bytes, int], asn1.Element] = asn1.element) -> None:
    if not der or der[0] != asn1.SEQUENCE:
        raise _rejected("not_a_certificate")
    try:
        found = read(der, 0)
    except asn1.IndefiniteLengthError:
        raise _rejected("indefinite_length") from None
    except ValueError:
        raise _rejected("certificate_truncated") from None
    end = found.end + found.closed_by
    if end > len(der):
        raise _rejected("certificate_truncated")
    if end < len(der):
        raise _rejected("several_certificates" if _is_binary(der[end:]) else "trailing_bytes")


def _has_outline_of_certificate(der: bytes) -> bool:
    """RFC 5280, 4.1: SEQUENCE { SEQUENCE { [version,] serial, algorithm, ... }, algorithm, BIT STRING }.

    A signing request has the same outside; its second field is a name (SETs inside), not an algorithm (an OID).
    """
    try:
        outer = list(islice(asn1.inside(der, asn1.element(der)), len(_OUTLINE) + 1))
        fields = list(islice(asn1.inside(der, outer[0]), _MOST_FIELDS + 1)) if outer else []
    except ValueError:
        return False
    if [each.tag for each in outer] != _OUTLINE or len(fields) > _MOST_FIELDS:
        return False
    fields = fields[1:] if fields and fields[0].tag == asn1.CONTEXT_0 else fields
    if len(fields) < _LEAST_FIELDS or [each.tag for each in fields[:2]] != [asn1.INTEGER, asn1.SEQUENCE]:
        return False
    return der[fields[1].body] == asn1.OBJECT_IDENTIFIER and fields[3].tag == asn1.SEQUENCE


def _something_else(der: bytes) -> Rejected:
    for detail, load in _OTHERS:
        try:
            load(der)
        # Whatever the parser says, it is not that; `cryptography` raises several unrelated types here.
        except Exception:  # noqa: BLE001, S112
            continue
        return Rejected("not_a_certificate", detail, field="certificate")
    return _rejected("not_a_certificate")


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
