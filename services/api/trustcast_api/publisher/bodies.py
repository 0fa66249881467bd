"""What the Publisher's certificate routes say, as JSON; the key names are WSO2's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from trustcast.domain.certificate import Certificate
from trustcast_api.list_certificates import Status, status_of
from trustcast_api.publisher import java_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from trustcast.storage.certificates import TrustedCertificate
    from trustcast_api.publisher.pages import Page


def _shown(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [dict(example)]})


_LISTED: Final = [{"alias": "web", "endpoint": "https://web.example:8443"}]
_PLAIN: Final = {"offset": 0, "limit": 25, "total": 1}
_LINKED: Final = _PLAIN | {"next": "", "previous": ""}


class Metadata(BaseModel):
    """A certificate by name; `endpoint` in normal form, but as it was sent in the answer to an upload."""

    model_config = _shown({"alias": "web", "endpoint": "https://web.example:8443"})
    alias: str
    endpoint: str


class Validity(BaseModel):
    """From when until when, in Java's date text and UTC."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)
    begins: str = Field(alias="from")
    ends: str = Field(alias="to")


class Information(BaseModel):
    """What a certificate says of itself; `status` is `Active` or `Expired`."""

    model_config = _shown(
        {
            "status": "Active",
            "validity": {"from": "Fri May 06 18:11:14 UTC 2022", "to": "Thu May 06 18:11:14 UTC 2032"},
            "version": "3",
            "subject": "CN=localhost, OU=localhost, C=LK",
        }
    )
    status: str
    validity: Validity
    version: str
    subject: str

    @classmethod
    def of(cls, one: TrustedCertificate, *, at: datetime) -> Information:
        """Describe a certificate as it stands at `at`."""
        read = Certificate.parse(one.certificate)
        expired = status_of(read.not_before, read.not_after, at=at) is Status.EXPIRED
        return cls(
            status="Expired" if expired else "Active",
            validity=Validity(begins=java_text.date(read.not_before), ends=java_text.date(read.not_after)),
            version=str(read.version),
            subject=java_text.name(x509.load_der_x509_certificate(one.certificate).subject),
        )


class Pagination(BaseModel):
    """Where a page is; `next` and `previous` are relative to the API's base, "" where there is no such page."""

    offset: int
    limit: int
    total: int
    next: str
    previous: str

    @classmethod
    def of(cls, page: Page) -> Pagination:
        """Describe a page."""
        return cls(offset=page.offset, limit=page.limit, total=page.total, next=page.next, previous=page.previous)


class Certificates(BaseModel):
    """One page of certificates."""

    model_config = _shown({"count": 1, "certificates": _LISTED, "pagination": _LINKED})
    count: int
    certificates: list[Metadata]
    pagination: Pagination

    @classmethod
    def of(cls, found: Sequence[TrustedCertificate], page: Page) -> Certificates:
        """List what was found."""
        return cls(count=len(found), certificates=_listed(found), pagination=Pagination.of(page))


class PlainPagination(BaseModel):
    """Where a page is."""

    offset: int
    limit: int
    total: int


class PlainCertificates(BaseModel):
    """One page of certificates, in the form of version 2.6."""

    model_config = _shown({"count": 1, "next": "", "previous": "", "certificates": _LISTED, "pagination": _PLAIN})
    count: int
    next: str
    previous: str
    certificates: list[Metadata]
    pagination: PlainPagination

    @classmethod
    def of(cls, found: Sequence[TrustedCertificate], page: Page) -> PlainCertificates:
        """List what was found."""
        return cls(
            count=len(found),
            next=page.next,
            previous=page.previous,
            certificates=_listed(found),
            pagination=PlainPagination(offset=page.offset, limit=page.limit, total=page.total),
        )


class ApiMetadata(BaseModel):
    """An API that calls the endpoint of a certificate."""

    id: str
    name: str
    context: str
    version: str
    provider: str


class Usage(BaseModel):
    """One page of the APIs that need a certificate."""

    model_config = _shown(
        {
            "count": 1,
            "list": [
                {
                    "id": "01234567-0123-0123-0123-012345678901",
                    "name": "Pizza",
                    "context": "/pizza",
                    "version": "1.0.0",
                    "provider": "admin",
                }
            ],
            "pagination": _LINKED,
        }
    )
    count: int
    list: list[ApiMetadata]
    pagination: Pagination


class ErrorItem(BaseModel):
    """One of several faults; `code` is Trustcast's."""

    code: str
    message: str


class Error(BaseModel):
    """What went wrong; `code` is the HTTP status."""

    model_config = _shown(
        {
            "code": 409,
            "message": "Resource Already Exists",
            "description": "This very certificate is already trusted under this alias.",
            "moreInfo": "/v1/operations/01234567-0123-0123-0123-012345678901",
            "error": [],
        }
    )
    code: int
    message: str
    description: str
    moreInfo: str  # noqa: N815 - its name on the wire
    error: list[ErrorItem]


def _listed(found: Sequence[TrustedCertificate]) -> list[Metadata]:
    return [Metadata(alias=one.alias, endpoint=one.endpoint) for one in found]
