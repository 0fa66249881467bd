"""Read the multipart form of an upload: each field once, none that is unknown, text as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from trustcast.domain import pem
from trustcast.domain.errors import Rejected, RejectedMany
from trustcast_api import charset
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.read_upload import FIELDS, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

CONTENT = ("certificate", "anchor", "ca", "accept_expired", "activate_at", "password")
NEW = ("alias", "endpoint", *CONTENT)

_DESCRIBED = {
    "alias": {"type": "string", "minLength": 1, "maxLength": 255, "description": "Unique; compared without case."},
    "endpoint": {"type": "string", "maxLength": 255, "description": "The backend's https URL; the path is ignored."},
    "certificate": {
        "type": "string",
        "format": "binary",
        "description": "An X.509 certificate, alone or with its chain, in PEM, DER or PKCS #7.",
    },
    "anchor": {"enum": ["leaf", "ca"], "description": "Which of a chain to trust: the server's, or the CA at the top."},
    "ca": {"enum": ["true", "false"], "description": "Trust what this certification authority signs."},
    "accept_expired": {"enum": ["true", "false"], "description": "Let an expired one pass; administrators only."},
    "activate_at": {"type": "string", "format": "date-time", "description": "Do not trust it before this moment."},
    "password": {"type": "string", "description": "Of a key store; only with one."},
}
_EXAMPLE = {
    "alias": "billing",
    "endpoint": "https://billing.example:8443",
    "certificate": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
}


async def read(request: Request, fields: Sequence[str]) -> Upload:
    """Return what was sent of `fields`. Raises `UnsupportedMediaError` and `Rejected`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError("content_type", f"Send the fields {_named(fields)} as multipart/form-data.")
    charset.refuse_others(request)
    try:
        given = await _given(request, fields)
        if isinstance(given.get("certificate"), str):
            given["certificate"] = given["certificate"].encode()
    except UnicodeError:
        raise Rejected("charset", "Send the fields in UTF-8.") from None
    for name, value in given.items():
        if name != "certificate" and isinstance(value, bytes):
            raise Rejected("field_invalid", "Send this field as text, not as a file.", field=name)
    return Upload(**given)


def documented(fields: Sequence[str], *, required: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what the OpenAPI document says of a body with these fields.

    `required` are those that are always needed; by default all that its example has.
    """
    example = {name: value for name, value in _EXAMPLE.items() if name in fields}
    needed = list(example if required is None else required)
    schema = {"type": "object", "required": needed, "properties": {name: _DESCRIBED[name] for name in fields}}
    content = {"schema": schema, "example": example}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}


async def _given(request: Request, fields: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    async with request.form(max_files=len(NEW), max_fields=len(NEW)) as form:
        for name, value in form.multi_items():
            if name not in fields:
                await run_in_threadpool(pem.refuse_private_key, await _bytes(value))
                told = f"There are the fields {_named(fields)}, no others."
                raise RejectedMany((Rejected("field_unknown", told, field=name if name in FIELDS else None),))
            if name in given:
                raise Rejected("field_repeated", "Send this field once.", field=name)
            given[name] = await value.read() if isinstance(value, UploadFile) else value
    return given


async def _bytes(value: UploadFile | str) -> bytes:
    return await value.read() if isinstance(value, UploadFile) else value.encode()


def _named(fields: Sequence[str]) -> str:
    return ", ".join(fields[:-1]) + f" and {fields[-1]}"
