"""PKCS #7 files that hold certificates and nothing else (`.p7b`, `.p7c`) -> their certificates.

That is a SignedData without signers and without content (RFC 2315, 9.1; RFC 5652, 5.1):

    SEQUENCE { OID signedData, [0] { SEQUENCE {
        INTEGER version, SET of digest algorithms, SEQUENCE { OID data [, [0] { OCTET STRING of nothing }] },
        [0] certificates, [1] revocation lists OPTIONAL, SET of no signers } } }

It is read step by step and never deeper than that: what stands inside of a certificate is for `Certificate.parse`,
revocation lists are left aside, and anything else is refused. All of it may have indefinite lengths, as macOS writes
it, but the certificates: they are in DER, and what is returned is what stands in the file.
"""

from __future__ import annotations

from itertools import islice

from trustcast.domain import der as asn1
from trustcast.domain.errors import Rejected

REASONS = {
    "pkcs7_without_certificates": (
        "This PKCS #7 file holds no certificates to read, but nothing, or encrypted or other data; write the "
        "certificates into a file (openssl crl2pkcs7 -nocrl -certfile chain.pem -out chain.p7b) and upload that."
    ),
    "pkcs7_signed": (
        "This PKCS #7 file is a signed message, not certificates alone; take them out of it "
        "(openssl pkcs7 -in file.p7b -print_certs | sed -n '/-BEGIN/,/-END/p' > chain.pem) and upload that."
    ),
    "pkcs7_other_certificate": (
        "This PKCS #7 file holds something among its certificates that is no X.509 certificate; write the "
        "certificates alone into a file (openssl crl2pkcs7 -nocrl -certfile chain.pem -out chain.p7b) and upload that."
    ),
    "pkcs7_broken": (
        "The PKCS #7 file is damaged: its parts are not where RFC 2315 has them; write it again "
        "(openssl pkcs7 -in file.p7b -out chain.p7b), or upload the certificates in PEM form."
    ),
}

_CONTENT_TYPES = bytes.fromhex("2a864886f70d0107")  # 1.2.840.113549.1.7
_DATA = _CONTENT_TYPES + b"\x01"
_SIGNED_DATA = _CONTENT_TYPES + b"\x02"
_MOST_FIELDS = 6


def is_pkcs7(data: bytes) -> bool:
    """Tell whether `data` begins like any of PKCS #7's kinds of content."""
    try:
        first = asn1.element(data, 2 if asn1.has_indefinite_length(data) else asn1.element(data).body)
    except ValueError:
        return False
    return first.tag == asn1.OBJECT_IDENTIFIER and _value(data, first)[:-1] == _CONTENT_TYPES


def certificates(data: bytes, *, at_most: int) -> list[bytes]:
    """Return the certificates in `data`, one element, which `is_pkcs7`, in its order; of more only `at_most`.

    Each is a SEQUENCE that begins like a certificate's. Raises `Rejected` with a code of `REASONS`, and
    `IndefiniteLengthError` where a certificate is in BER.
    """
    try:
        field = _field_of_certificates(data)
        found = list(islice(asn1.inside(data, field), at_most))
    except asn1.IndefiniteLengthError:
        raise
    except ValueError:
        raise _rejected("pkcs7_broken") from None
    if not found:
        raise _rejected("pkcs7_without_certificates")
    # Attribute certificates and other kinds are tagged (RFC 5652, 10.2.2).
    if any(each.tag != asn1.SEQUENCE for each in found):
        raise _rejected("pkcs7_other_certificate")
    return [data[each.start : each.end] for each in found]


def _field_of_certificates(data: bytes) -> asn1.Element:
    kind, *content = _fields(data, asn1.ber_element(data))
    if _value(data, kind) != _SIGNED_DATA or not content:
        raise _rejected("pkcs7_without_certificates")
    (signed,) = [_only_child(data, each) for each in content]
    version, digests, encapsulated, *optional, signers = _fields(data, signed)
    if [version.tag, digests.tag, encapsulated.tag, signers.tag] != [asn1.INTEGER, asn1.SET, asn1.SEQUENCE, asn1.SET]:
        raise _rejected("pkcs7_broken")
    _refuse_message(data, encapsulated, signers)
    match [each.tag for each in optional]:
        case [asn1.CONTEXT_0] | [asn1.CONTEXT_0, asn1.CONTEXT_1]:
            return optional[0]
        case [] | [asn1.CONTEXT_1]:
            raise _rejected("pkcs7_without_certificates")
        case _:
            raise _rejected("pkcs7_broken")


def _refuse_message(data: bytes, encapsulated: asn1.Element, signers: asn1.Element) -> None:
    """What macOS exports has a content, of no bytes."""
    kind, *content = _fields(data, encapsulated)
    said = [_value(data, _only_child(data, each)) for each in content]
    if _value(data, kind) != _DATA or said not in ([], [b""]) or _value(data, signers):
        raise _rejected("pkcs7_signed")


def _fields(data: bytes, parent: asn1.Element) -> list[asn1.Element]:
    """No more than the longest of the structures here has; raises ValueError where there are none."""
    fields = list(islice(asn1.inside(data, parent, read=asn1.ber_element), _MOST_FIELDS + 1))
    if not 1 <= len(fields) <= _MOST_FIELDS:
        raise ValueError("no structure of PKCS #7 has so few or so many fields")
    return fields


def _only_child(data: bytes, parent: asn1.Element) -> asn1.Element:
    (child,) = _fields(data, parent)
    if parent.tag != asn1.CONTEXT_0:
        raise ValueError("content stands in a [0]")
    return child


def _value(data: bytes, of: asn1.Element) -> bytes:
    return data[of.body : of.end]


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
