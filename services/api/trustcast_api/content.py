"""A certificate as a file: DER, PEM, or the chain that can be made of what came with it and of what is trusted."""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trustcast.domain import chain
from trustcast.storage import certificates, chains
from trustcast_api.problems import NotAcceptableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast.storage.session import Database


class Form(StrEnum):
    """How a certificate is written."""

    DER = "der"
    PEM = "pem"
    CHAIN = "chain"


# RFC 2585, 4.1; what OpenSSL's users call it; RFC 8555, 9.1.
MEDIA_TYPES = {
    Form.DER: "application/pkix-cert",
    Form.PEM: "application/x-pem-file",
    Form.CHAIN: "application/pem-certificate-chain",
}
_ASKED_FOR = {media_type: form for form, media_type in MEDIA_TYPES.items()} | {
    "application/octet-stream": Form.DER,
    "application/*": Form.DER,
    "*/*": Form.DER,
}


@dataclass(frozen=True, slots=True)
class File:
    """A certificate's bytes and what to call them."""

    name: str
    media_type: str
    data: bytes
    fingerprint_sha256: str


def form_of(accept: str) -> Form:
    """Return the form that a client with this `Accept` (RFC 9110, 12.5.1) likes best; DER where it does not mind.

    Raises `NotAcceptableError("not_acceptable")`.
    """
    ranges = [_range(one) for one in accept.split(",") if one.strip()]
    if not ranges:
        return Form.DER
    for media_type, weight in sorted(ranges, key=lambda one: -one[1]):
        if media_type in _ASKED_FOR and weight > 0:
            return _ASKED_FOR[media_type]
    raise NotAcceptableError("not_acceptable", f"A certificate can be had as {', '.join(MEDIA_TYPES.values())}.")


def content(database: Database, tenant_id: int, alias_key: str, form: Form) -> File:
    """Return one certificate as a file. Raises `NotFound("certificate_not_found")`.

    A chain is PEM: this certificate, then its issuer if that came with it or the tenant trusts it, too, then that
    one's, and so on; at last what else came with it.
    """
    with database.reading() as transaction:
        one = certificates.get(transaction, tenant_id, alias_key)
        links = _links(transaction, one) if form is Form.CHAIN else [one.certificate]
    return File(
        name=f"{one.alias}.{'crt' if form is Form.DER else 'pem'}",
        media_type=MEDIA_TYPES[form],
        data=one.certificate if form is Form.DER else b"".join(map(pem, links)),
        fingerprint_sha256=one.fingerprint_sha256,
    )


def _links(transaction: Connection, one: TrustedCertificate) -> list[bytes]:
    kept = chains.of(transaction, [one.operation]).get(one.operation, [])
    issuers = certificates.authorities(transaction, one.tenant_id)
    return [*dict.fromkeys([*chain.chain(one.certificate, [*kept, *issuers]), *kept])]


def pem(der: bytes) -> bytes:
    """Return the certificate in PEM (RFC 7468, 5.1)."""
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode("ascii")


def _range(text: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [one.partition("=")[2] for one in parameters if one.startswith("q=")]
    try:
        return media_type, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type, 0.0
