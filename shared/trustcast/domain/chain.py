"""Who issued a certificate, among those at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 10


def chain(leaf: bytes, candidates: Iterable[bytes]) -> list[bytes]:
    """Return `leaf` followed by its issuer among `candidates` (all DER), that one's issuer and so on.

    It ends with a certificate that issued itself, with one whose issuer is not at hand, or with the `LONGEST`-th.
    Whether an issuer was allowed to issue is not asked here: each of them is trusted by itself.
    """
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for one in map(x509.load_der_x509_certificate, candidates):
        by_subject.setdefault(one.subject, []).append(one)
    links = [x509.load_der_x509_certificate(leaf)]
    while len(links) < LONGEST and links[-1].subject != links[-1].issuer:
        issuers = [one for one in by_subject.get(links[-1].issuer, []) if _issued(one, links[-1])]
        if not issuers or issuers[0] in links:
            break
        links.append(issuers[0])
    return [leaf, *(one.public_bytes(Encoding.DER) for one in links[1:])]


def _issued(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    # An algorithm that nobody here can compute says nothing about who issued it.
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True
