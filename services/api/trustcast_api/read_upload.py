"""The door: read an upload's fields, and turn away what must never be stored, private keys above all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from trustcast.domain import alias as aliases
from trustcast.domain import pem
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import FieldErrors, Rejected
from trustcast.storage.operations import Kind
from trustcast_api.accept_request import Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client sent, as it sent it; None where it sent nothing."""

    alias: str | None = None
    endpoint: str | None = None
    certificate: bytes | None = None
    ca: str | None = None
    accept_expired: str | None = None


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
    """Read what every upload has: the certificate, and how it is meant."""
    content: dict[str, Any] = {}
    with errors.of("certificate"):
        content["certificate"] = pem.only_certificate(_given(upload.certificate))
        Certificate.parse(content["certificate"])
    with errors.of("ca"):
        content["ca"] = _flag(upload.ca)
    with errors.of("accept_expired"):
        content["accept_expired"] = _flag(upload.accept_expired)
    return content


def _free_of_keys(text: str | None, field: str) -> str:
    pem.refuse_private_key(_given(text).encode(), field)
    return _given(text)


def _given(value: T | None) -> T:
    if value is None:
        raise Rejected("field_missing", "This field is missing; send it as a field of multipart/form-data.")
    return value


def _flag(text: str | None) -> bool:
    pem.refuse_private_key((text or "").encode())
    if text not in (None, "true", "false"):
        raise Rejected("field_invalid", "Send `true` or `false`, or leave the field out.")
    return text == "true"
