"""Who issued a certificate, among those at hand, and how the certificates of one file belong together."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from trustcast.domain import der as asn1
from trustcast.domain import signatures
from trustcast.domain.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST = 10
MOST_CHECKS = 40
"""Of signatures in one file. A chain of 20 needs 20."""
MOST_MILLISECONDS = 25
"""That these checks may take by `signatures.cost`: enough for 20 with the costliest key that the policy knows."""

REASONS = {
    "chain_unrelated": (
        "The certificates in the file are not one chain: besides the server's own, each has to be the issuer of "
        "another one in the file; upload unrelated ones one by one, each under its own alias, and add an "
        "intermediate CA that is missing."
    ),
    "chain_ambiguous": (
        "The certificates in the file issued each other, or several of them stand at the top; upload the one that "
        "is meant alone."
    ),
}

_ISSUER, _SUBJECT = 2, 4
_VERSION = asn1.CONTEXT_0


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
        issuers = [one for one in by_subject.get(links[-1].issuer, []) if signatures.issued(one, links[-1])]
        if not issuers or issuers[0] in links:
            break
        links.append(issuers[0])
    return [leaf, *(one.public_bytes(Encoding.DER) for one in links[1:])]


def issuers(certificates: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Return for each certificate of a file (different ones, sound, in DER) those of them that issued it.

    What signed itself has no other issuer, although a namesake with the same key may be there (cross-signing). The
    order is the same whatever it was in the file. Raises `Rejected` (`chain_ambiguous`) rather than compare more
    than `MOST_CHECKS` signatures, or for longer than `MOST_MILLISECONDS`.
    """
    loaded = {one: x509.load_der_x509_certificate(one) for one in sorted(certificates)}
    subjects, names = {one: _name(one, _SUBJECT) for one in loaded}, {one: _name(one, _ISSUER) for one in loaded}
    namesakes = [(one, other) for one, other in product(loaded, repeat=2) if names[one] == subjects[other]]
    costs = {one: signatures.cost(certificate) or 0 for one, certificate in loaded.items()}
    if len(namesakes) > MOST_CHECKS or sum(costs[issuer] for _, issuer in namesakes) > MOST_MILLISECONDS:
        raise _rejected("chain_ambiguous")
    found: dict[bytes, list[bytes]] = {one: [] for one in loaded}
    for one, other in namesakes:
        if signatures.issued(loaded[other], loaded[one]):
            found[one].append(other)
    return {one: [] if one in above else above for one, above in found.items()}


def upwards(issued_by: Mapping[bytes, list[bytes]]) -> list[bytes]:
    """Return all of what `issuers` found, the leaf first: the one that issued none of the others.

    Raises `Rejected` with a code of `REASONS` unless there is one such, and each of the others is above it.
    """
    above = {issuer for each in issued_by.values() for issuer in each}
    links = [one for one in issued_by if one not in above]
    if len(links) != 1:
        raise _rejected("chain_unrelated" if links else "chain_ambiguous")
    for one in links:  # it grows until nothing new is above
        links.extend(issuer for issuer in issued_by[one] if issuer not in links)
    if len(links) != len(issued_by):
        raise _rejected("chain_unrelated")
    return links


def top(issued_by: Mapping[bytes, list[bytes]]) -> bytes:
    """Return the one that none of the others issued. Raises `Rejected` (`chain_ambiguous`) unless there is one such."""
    tops = [one for one, above in issued_by.items() if not above]
    if len(tops) != 1:
        raise _rejected("chain_ambiguous")
    return tops[0]


def _name(der: bytes, place: int) -> bytes:
    """As it is encoded: RFC 5280, 4.1.2.4 has a CA write its name the same way each time."""
    fields = asn1.children(der, asn1.children(der, asn1.element(der))[0])
    name = [field for field in fields if field.tag != _VERSION][place]
    return der[name.start : name.end]


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
