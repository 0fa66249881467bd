"""The door: read an upload's fields, and turn away what must never be stored, private keys above all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

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


def read_upload(upload: Upload) -> Request:
    """Return the request inside an upload. Raises `RejectedMany` with every field that is wrong."""
    errors = FieldErrors()
    with errors.of("alias"):
        alias = aliases.checked(_free_of_keys(upload.alias, "alias"))
    with errors.of("endpoint"):
        endpoint = str(Endpoint.parse(_free_of_keys(upload.endpoint, "endpoint")))
    with errors.of("certificate"):
        der = pem.only_certificate(_given(upload.certificate))
        Certificate.parse(der)
    with errors.of("ca"):
        ca = _flag(upload.ca)
    errors.raise_if_any()
    return Request(kind=Kind.ADD, alias=alias, endpoint=endpoint, certificate=der, ca=ca)


def _free_of_keys(text: str | None, field: str) -> str:
    pem.refuse_private_key(_given(text).encode(), field)
    return _given(text)


def _given(value: T | None) -> T:
    if value is None:
        raise Rejected(
            "field_missing", "This field is missing; send alias, endpoint and certificate as multipart fields."
        )
    return value


def _flag(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise Rejected("field_invalid", "Send `true` or `false`, or leave the field out.")
    return text == "true"
