"""Row + truststore -> the certificate that is meant; what would be a guess is a problem.

Where both sides have one and they differ, the truststore counts: it is what the gateways trust now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from trustcast.domain.alias import SUPER_TENANT
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract
from trustcast_cli.wso2.claims import Claims, own_name, second_name
from trustcast_cli.wso2.report import Problem
from trustcast_cli.wso2.rows import Row
from trustcast_cli.wso2.stored import certificates_in
from trustcast_cli.wso2.truststore import GatewayTruststore


@dataclass(frozen=True, slots=True)
class Match:
    """What was found for a row: `der` is None if neither side has a certificate, then `missing` says more.

    It is None as well where it cannot be told which one is meant: `doubt` says why.
    `entry` is the alias in the truststore.
    """

    row: Row
    der: bytes | None
    entry: str | None = None
    missing: str = ""
    doubt: Problem | None = None
    notes: tuple[Warning, ...] = ()

    @property
    def database_sha256(self) -> str | None:
        """The fingerprint of what the database holds: of the one that is meant, if it holds several."""
        stored = _stored(self.row)
        return sha256(self.der if self.der in stored else stored[0]).hexdigest() if stored else None


def matched(rows: Sequence[Row], truststore: GatewayTruststore) -> list[Match]:
    """Return a match for each row, in their order."""
    claims = Claims.of(rows)
    return [_Case(row, _stored(row), claims, truststore).match() for row in rows]


def unnamed(matches: Iterable[Match], truststore: GatewayTruststore) -> list[str]:
    """Return the aliases of the truststore's certificates that no row names."""
    return sorted(truststore.certificates.keys() - {match.entry for match in matches})


@dataclass(frozen=True, slots=True)
class _Case:
    """A row, the certificates in the database, and all that could be its entry."""

    row: Row
    stored: Sequence[bytes]
    claims: Claims
    truststore: GatewayTruststore

    def match(self) -> Match:
        name = own_name(self.row)
        der = self.truststore.certificates.get(name)
        rivals = self.claims.beside(self.row)
        if der is None:
            return self._by_second_name()
        if not rivals or der in self.stored:
            return self._trusted(name, der)
        if _with(der, rivals):
            return self._by_second_name()
        return Match(self.row, None, name, doubt=_claimed_twice(name, rivals[0]))

    def _by_second_name(self) -> Match:
        """What stands there counts for a tenant only if nothing speaks against it: it may be anybody's."""
        name = second_name(self.row)
        der = self.truststore.certificates.get(name)
        if der is None or name in self.claims.first:
            return self._in_database()
        if der in self.stored[:1]:  # behind it stand CAs, and a CA may stand there without WSO2's doing
            return Match(self.row, der, name)
        for_others = self.row.tenant_id != SUPER_TENANT
        if self.claims.behind(self.row) or (for_others and self.row.certificate is not None):
            return self._in_database()
        return self._assumed(name, der) if for_others else self._trusted(name, der)

    def _assumed(self, name: str, der: bytes) -> Match:
        if not _is_for_endpoint(der, self.row):
            return Match(self.row, None, doubt=_plain_alias_of_another(self.row))
        return Match(self.row, der, name, notes=(_PLAIN_ALIAS,))

    def _trusted(self, entry: str, der: bytes) -> Match:
        if self.row.certificate is None or der in self.stored:
            return Match(self.row, der, entry)
        if not self.stored:
            return Match(self.row, der, entry, notes=(_UNREADABLE,))
        if any(_is_for_endpoint(one, self.row) for one in self.stored) and not _is_for_endpoint(der, self.row):
            return Match(self.row, None, entry, doubt=_database_fits(entry))
        return Match(self.row, der, entry, notes=(_DIFFERS,))

    def _in_database(self) -> Match:
        if self.stored:
            return Match(self.row, self.stored[0], notes=(_NOT_IN_TRUSTSTORE,))
        return Match(self.row, None, missing=self._nowhere())

    def _nowhere(self) -> str:
        own, second = own_name(self.row), second_name(self.row)
        nothing = "the database holds none" if self.row.certificate is None else _NO_CERTIFICATE
        if (der := self.truststore.certificates.get(own)) is not None:
            owners = _with(der, self.claims.beside(self.row))
            return f"The truststore's certificate {own} is {_whose(owners)}, and {nothing}."
        said = f"The truststore has no certificate {own}"
        if second in self.truststore.certificates:
            said += f" ({second} may be {_whose(self.claims.behind(self.row))})"
        elif self.truststore.private_keys.intersection((own, second)):
            said += f" or {second} (the entry of this name is a private key)"
        else:
            said += f" or {second}"
        return f"{said}, and {nothing}."


def _stored(row: Row) -> tuple[bytes, ...]:
    return certificates_in(row.certificate) if row.certificate else ()


def _with(der: bytes, rows: Iterable[Row]) -> list[Row]:
    """Those that the database says it is of."""
    return [row for row in rows if der in _stored(row)]


def _is_for_endpoint(der: bytes, row: Row) -> bool:
    try:
        return Certificate.parse(der).is_for(Endpoint.parse(row.endpoint).host)
    except Rejected:
        return False


def _whose(others: Sequence[Row]) -> str:
    return f"that of {_named(others[0])}" if others else "anybody's"


def _named(row: Row) -> str:
    return f"the alias {row.alias!r} of the tenant {row.tenant_id}"


def _claimed_twice(entry: str, rival: Row) -> Problem:
    return Problem(
        "alias_claimed_twice",
        f"The truststore's entry {entry} may be this row's or that of {_named(rival)}, and the database does not tell.",
        _BY_HAND,
    )


def _plain_alias_of_another(row: Row) -> Problem:
    return Problem(
        "plain_alias_doubtful",
        f"The truststore has no certificate {own_name(row)} and the database holds none. There is one under the plain "
        f"alias {second_name(row)}, but it does not name the endpoint's host, so it may be anybody's.",
        _BY_HAND,
    )


def _database_fits(entry: str) -> Problem:
    return Problem(
        "certificate_doubtful",
        f"The database's certificate names the endpoint's host; the truststore's, under {entry}, is another one and "
        "does not.",
        _BY_HAND,
    )


_BY_HAND = "Ask the backend's owner which certificate it shows, and upload that one with POST /v1/certificates."
_NO_CERTIFICATE = "what stands in the database is not a certificate"
_DIFFERS = Warning(
    "certificate_differs",
    "The database holds another certificate than the truststore; the truststore's is taken, because that is what "
    "the gateways trust now.",
)
_UNREADABLE = Warning(
    "database_certificate_unreadable",
    "What stands in the database's CERTIFICATE column is not a certificate; the truststore's is taken.",
)
_NOT_IN_TRUSTSTORE = Warning(
    "not_in_truststore",
    "The truststore has no such entry, so the gateway it comes from does not trust this certificate; the database's "
    "is taken.",
)
_PLAIN_ALIAS = Warning(
    "plain_alias_taken",
    "The truststore has this tenant's alias only without the tenant's id behind it, and the database holds no "
    "certificate. It is assumed to be this tenant's, because it names the endpoint's host and no other row has a "
    "claim to it; make sure that it is.",
)
