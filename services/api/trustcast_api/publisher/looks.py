"""Look at certificates as the Publisher's routes do: by filters, by alias, at who uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi.responses import Response

from trustcast.domain import alias as aliases
from trustcast.domain import pem
from trustcast.domain.endpoint import Endpoint, sought
from trustcast.domain.errors import NotFound, Rejected
from trustcast.storage import certificates, uses
from trustcast_api.list_certificates import Filters, list_certificates
from trustcast_api.publisher.bodies import ApiMetadata
from trustcast_api.publisher.pages import Page

if TYPE_CHECKING:
    from trustcast.storage.certificates import TrustedCertificate
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is asked for; "" asks for nothing, as None does."""

    limit: int
    offset: int
    alias: str | None
    endpoint: str | None

    def page(self, path: str, total: int) -> Page:
        """Return the page that was asked for."""
        filters = {"alias": self.alias, "endpoint": self.endpoint}
        return Page(path=path, limit=self.limit, offset=self.offset, total=total, filters=filters)


def find(here: Context, who: Principal, wanted: Wanted) -> tuple[list[TrustedCertificate], int]:
    """Return one page by alias, and how many match in all; nothing where a filter is like no alias or endpoint."""
    try:
        filters = Filters(
            alias=aliases.checked(wanted.alias) if wanted.alias else None,
            endpoint=_any_port(wanted.endpoint) if wanted.endpoint else None,
        )
    except Rejected:
        return [], 0
    return list_certificates(
        here.database, who.tenant_id, filters, limit=wanted.limit, offset=wanted.offset, at=here.now()
    )


def get(here: Context, who: Principal, alias: str) -> TrustedCertificate:
    """Return one certificate. Raises `NotFound("certificate_not_found")`."""
    with here.database.reading() as transaction:
        return certificates.get(transaction, who.tenant_id, aliases.key(known(alias)))


def known(alias: str) -> str:
    """Return the alias. Raises `NotFound("certificate_not_found")` for what can be none: theirs know no other error.

    A private key is none, and is said to be one: `Rejected("private_key")`.
    """
    pem.refuse_private_key(alias.encode(), "alias")
    try:
        return aliases.checked(alias)
    except Rejected:
        raise NotFound("certificate_not_found", "There is no certificate with this alias.") from None


def download(one: TrustedCertificate) -> Response:
    """Return the certificate in DER, to be kept as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{one.alias}.crt"'}
    return Response(one.certificate, media_type="application/octet-stream", headers=headers)


def users(here: Context, who: Principal, alias: str) -> list[ApiMetadata]:
    """Return the APIs that need the certificate, each once, by name; none for an unknown alias."""
    try:
        alias_key = aliases.key(known(alias))
    except NotFound:
        return []
    with here.database.reading() as transaction:
        found = uses.users(transaction, who.tenant_id, alias_key)
    distinct = dict.fromkeys((one.id, one.name, one.context, one.version, one.provider) for one in found)
    return [
        ApiMetadata(id=id_, name=name, context=context, version=version, provider=provider)
        for id_, name, context, version, provider in distinct
    ]


def _any_port(text: str) -> str:
    """Theirs ignore the port and the path of what is searched for."""
    host, _port = sought(text)
    return str(Endpoint("https", host, 0)).removesuffix(":0")
