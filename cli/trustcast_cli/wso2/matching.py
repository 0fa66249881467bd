"""Row + truststore -> the certificate that is meant.

Where both sides have one and they differ, the truststore counts: it is what the gateways trust now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from trustcast.domain.alias import SUPER_TENANT
from trustcast.domain.policy import Warning  # noqa: A004 - the word of the contract
from trustcast_cli.wso2.rows import Row
from trustcast_cli.wso2.stored import certificates_in
from trustcast_cli.wso2.truststore import GatewayTruststore


@dataclass(frozen=True, slots=True)
class Match:
    """What was found for a row: `der` is None if neither side has a certificate, then `missing` says more.

    `entry` is the alias in the truststore. `database_sha256`: the fingerprint in the database, where it differs.
    """

    row: Row
    der: bytes | None
    entry: str | None = None
    missing: str = ""
    database_sha256: str | None = None
    notes: tuple[Warning, ...] = ()


def matched(rows: Sequence[Row], truststore: GatewayTruststore) -> list[Match]:
    """Return a match for each row, in their order."""
    tenants: dict[str, set[int]] = {}
    for row in rows:
        tenants.setdefault(row.alias.lower(), set()).add(row.tenant_id)
    return [_match(row, _names(row, tenants), truststore) for row in rows]


def unnamed(matches: Iterable[Match], truststore: GatewayTruststore) -> list[str]:
    """Return the aliases of the truststore's certificates that no row names."""
    return sorted(truststore.certificates.keys() - {match.entry for match in matches})


def _names(row: Row, tenants: Mapping[str, set[int]]) -> list[str]:
    """What the row's entry may be called, in lower case: `alias_tenantId`; for the super tenant `alias` goes first.

    A plain `alias` is another tenant's as well only where no second tenant has that alias: an entry of one tenant
    must not be taken for another's.
    """
    alias = row.alias.lower()
    suffixed = f"{alias}_{row.tenant_id}"
    if row.tenant_id == SUPER_TENANT:
        return [alias, suffixed]
    return [suffixed, alias] if len(tenants[alias]) == 1 else [suffixed]


def _match(row: Row, names: Sequence[str], truststore: GatewayTruststore) -> Match:
    stored = certificates_in(row.certificate) if row.certificate else ()
    entry = next((name for name in names if name in truststore.certificates), None)
    unreadable = row.certificate is not None and not stored
    if entry is None:
        return _only_in_database(row, stored[0]) if stored else _nowhere(row, names, truststore, unreadable=unreadable)
    der = truststore.certificates[entry]
    if unreadable:
        return Match(row, der, entry, notes=(_UNREADABLE,))
    if stored and der not in stored:
        return Match(row, der, entry, database_sha256=sha256(stored[0]).hexdigest(), notes=(_DIFFERS,))
    return Match(row, der, entry)


def _only_in_database(row: Row, der: bytes) -> Match:
    return Match(row, der, notes=(_NOT_IN_TRUSTSTORE,))


def _nowhere(row: Row, names: Sequence[str], truststore: GatewayTruststore, *, unreadable: bool) -> Match:
    said = f"The truststore has no certificate {' or '.join(names)}"
    if truststore.private_keys.intersection(names):
        said += " (the entry of this name is a private key)"
    said += (
        ", and what stands in the database is not a certificate." if unreadable else ", and the database holds none."
    )
    return Match(row, None, missing=said)


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
