"""The door: read an upload's fields, and turn away what must never be stored, private keys above all."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from trustcast.domain import alias as aliases
from trustcast.domain import certificate_file, pem
from trustcast.domain.certificate import Certificate
from trustcast.domain.certificate_file import Anchor, Chosen
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import FieldErrors, Rejected
from trustcast.domain.operation import Kind
from trustcast_api.read_keystore import Entry, certificate_of, is_keystore, read_keystore
from trustcast_api.request import Line, Request

REASONS = {
    "keystore_not_single": (
        "This is a key store, and one certificate is asked for here; take it out "
        "(keytool -exportcert -rfc -alias NAME -keystore file), or POST the whole key store to /v1/certificates, "
        "where each of its entries is added under its own alias."
    ),
    "endpoint_missing": (
        "The certificate names no host (wildcards do not count), so it is not known which endpoint it is for; send "
        "the key store with the field endpoint, or this certificate alone."
    ),
    "alias_invalid": (
        "The name of this entry is no alias here: 1 to 255 ASCII letters, digits, '.', '_' or '-', with a letter or "
        "digit first; rename it (keytool -changealias -alias OLD -destalias NEW -keystore file) and send the key "
        "store again."
    ),
    "keystore_entry_unnamed": (
        "The certificate has no name in the key store, so there is no alias for it; give each one a name "
        "(openssl pkcs12 -export -nokeys -in all.pem -caname FIRST -caname SECOND -out new.p12; keytool always does)."
    ),
}

T = TypeVar("T")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client sent, as it sent it; None where it sent nothing."""

    alias: str | None = None
    endpoint: str | None = None
    certificate: bytes | None = None
    anchor: str | None = None
    ca: str | None = None
    accept_expired: str | None = None
    activate_at: str | None = None
    password: str | None = None


FIELDS = tuple(field.name for field in fields(Upload))
"""Every field that some form has: a name of these may be repeated, any other is what somebody typed."""


def read_upload(upload: Upload) -> Request:
    """Return the request to add what an upload holds. Raises `RejectedMany` with every field that is wrong."""
    errors = FieldErrors()
    with errors.of("alias"):
        alias = aliases.checked(_free_of_keys(upload.alias, "alias"))
    with errors.of("endpoint"):
        endpoint = str(Endpoint.parse(_free_of_keys(upload.endpoint, "endpoint")))
    content = _content(upload, errors)
    errors.raise_if_any()
    return Request(kind=Kind.ADD, alias=alias, endpoint=endpoint, **content)


def holds_many(upload: Upload) -> bool:
    """Tell whether an upload is for `read_entries`, and not for `read_upload`."""
    return upload.certificate is not None and is_keystore(upload.certificate)


def read_entries(upload: Upload) -> list[Line]:
    """Return what the key store of an upload holds: each entry is a request to add, under its alias, or says why not.

    All are for the upload's endpoint; where it names none, each for the first host that its certificate names. Raises
    `RejectedMany` where the key store or another field is wrong.
    """
    errors = FieldErrors()
    with errors.of("alias"):
        if upload.alias is not None:
            _free_of_keys(upload.alias, "alias")
            raise Rejected("field_unexpected", "Each entry of a key store comes under its own alias; leave this out.")
    endpoint = None
    with errors.of("endpoint"):
        if upload.endpoint is not None:
            endpoint = str(Endpoint.parse(_free_of_keys(upload.endpoint, "endpoint")))
    meant, entries = _meant(upload, errors), list[Entry]()
    del meant["anchor"]
    with errors.of("password"):
        _searched(upload.password or "")
        with errors.of("certificate"):
            entries = read_keystore(_given(upload.certificate), upload.password)
    errors.raise_if_any()
    return [_line(number, one, endpoint, meant) for number, one in enumerate(entries, 1)]


def _line(number: int, entry: Entry, endpoint: str | None, meant: dict[str, Any]) -> Line:
    errors, alias = FieldErrors(), ""
    with errors.of("alias"):
        alias = _alias_of(entry)
    with errors.of("certificate"):
        certificate = certificate_of(entry)
        named = _endpoint_of(Certificate.parse(certificate)) if endpoint is None else endpoint
    try:
        errors.raise_if_any()
    except Rejected as refused:
        return Line(number, alias or None, problem=refused)
    request = Request(kind=Kind.ADD, alias=alias, endpoint=named, certificate=certificate, **meant)
    return Line(number, alias, request)


def _alias_of(entry: Entry) -> str:
    """Return the entry's name, if it is an alias. Whoever sent a key store cannot just choose another one."""
    if entry.alias is None:
        raise Rejected("keystore_entry_unnamed", REASONS["keystore_entry_unnamed"], field="alias")
    try:
        return aliases.checked(entry.alias)
    except Rejected as refused:
        raise Rejected(refused.code, REASONS[refused.code], field="alias") from None


def _endpoint_of(certificate: Certificate) -> str:
    """A common name without a dot is more often a person's idea of a name than a host."""
    alternatives = certificate.dns_names + certificate.ip_addresses
    for name in alternatives or [each for each in certificate.names if "." in each]:
        with contextlib.suppress(Rejected):  # a wildcard, among others
            endpoint = Endpoint.parse(f"https://[{name}]" if ":" in name else f"https://{name}")
            if certificate.is_for(endpoint.host):
                return str(endpoint)
    raise Rejected("endpoint_missing", REASONS["endpoint_missing"], field="endpoint")


def read_replacement(alias: str, upload: Upload, *, if_match: str | None = None, force: bool = False) -> Request:
    """Return the request to replace what has `alias` with what an upload holds; the endpoint stays.

    `if_match` is the SHA-256 of what is to be replaced, None for whatever is there. With `force` it is replaced also
    where APIs need names that the new one lacks. Raises `RejectedMany`.
    """
    errors = FieldErrors()
    content = _content(upload, errors)
    errors.raise_if_any()
    return Request(kind=Kind.REPLACE, alias=alias, if_match=if_match, force=force, **content)


def read_rotation(alias: str, upload: Upload) -> Request:
    """Return the request to begin a rotation of `alias` with what an upload holds. Raises `RejectedMany`."""
    errors = FieldErrors()
    with errors.of("alias"):
        following = aliases.following(alias)
    content = _content(upload, errors)
    errors.raise_if_any()
    return Request(kind=Kind.ADD, alias=following, rotation=aliases.key(alias), **content)


def _content(upload: Upload, errors: FieldErrors) -> dict[str, Any]:
    """Read what every upload has: the certificate with its chain, and how it is meant."""
    meant = _meant(upload, errors)
    with errors.of("certificate"):
        chosen = _chosen(upload, meant.pop("anchor"))
        meant |= {"certificate": chosen.certificate, "chain": chosen.chain}
    with errors.of("password"):
        if upload.password is not None:
            _searched(upload.password)
        if upload.password is not None and not holds_many(upload):
            raise Rejected("field_unexpected", "A password belongs to a key store, and this is none; leave it out.")
    return meant


def _chosen(upload: Upload, anchor: Anchor) -> Chosen:
    data = _given(upload.certificate)
    if is_keystore(data):
        raise _not_single(data)
    return certificate_file.read(data, anchor=anchor)


def _not_single(keystore: bytes) -> Rejected:
    try:
        read_keystore(keystore, None)
    except Rejected as refused:
        if refused.code == "private_key":
            return refused
    return Rejected("keystore_not_single", REASONS["keystore_not_single"], field="certificate")


def _meant(upload: Upload, errors: FieldErrors) -> dict[str, Any]:
    """Read how a certificate is meant. Who chooses the CA of a chain means one."""
    meant: dict[str, Any] = {"anchor": Anchor.LEAF}
    with errors.of("anchor"):
        meant["anchor"] = _anchor(upload.anchor)
    with errors.of("ca"):
        meant["ca"] = _flag(upload.ca)
        if meant["anchor"] is Anchor.CA:
            if upload.ca == "false":
                raise Rejected("field_invalid", "With anchor=ca a CA is meant; send `true`, or leave the field out.")
            meant["ca"] = True
    with errors.of("accept_expired"):
        meant["accept_expired"] = _flag(upload.accept_expired)
    with errors.of("activate_at"):
        meant["activate_at"] = _moment(upload.activate_at)
    return meant


def _free_of_keys(text: str | None, field: str) -> str:
    return _searched(_given(text), field)


def _searched(text: str, field: str | None = None) -> str:
    """Return a text in which there is no private key. Half of a surrogate pair is no text."""
    pem.refuse_private_key(text.encode(errors="surrogatepass"), field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected("charset", "Send the fields in UTF-8.", field=field) from None
    return text


def _given(value: T | None) -> T:
    if value is None:
        raise Rejected("field_missing", "This field is missing; send it as a field of multipart/form-data.")
    return value


def _anchor(text: str | None) -> Anchor:
    if text is None:
        return Anchor.LEAF
    _searched(text)
    if text not in set(Anchor):
        raise Rejected("field_invalid", "Send `leaf` or `ca`, or leave the field out.")
    return Anchor(text)


def _flag(text: str | None) -> bool:
    if text is None:
        return False
    _searched(text)
    if text not in ("true", "false"):
        raise Rejected("field_invalid", "Send `true` or `false`, or leave the field out.")
    return text == "true"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    _searched(text)
    refused = Rejected(
        "field_invalid", "Send a time with its zone, as 2027-01-31T06:00:00Z (RFC 3339), or leave the field out."
    )
    if not _RFC3339.fullmatch(text):
        raise refused
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused from None
