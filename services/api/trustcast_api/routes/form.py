"""The multipart form of an upload: its fields, what the OpenAPI document says of them, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trustcast_api import charset
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.read_form import Form, named

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


async def sent(request: Request, fields: tuple[str, ...]) -> Form:
    """Return the form that was sent, to be read. Raises `UnsupportedMediaError` and `Rejected("charset")`."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError("content_type", f"Send the fields {named(fields)} as multipart/form-data.")
    charset.refuse_others(request)
    return Form(content_type, await request.body(), fields)


def documented(fields: Sequence[str], *, required: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what the OpenAPI document says of a body with these fields.

    `required` are those that are always needed; by default all that its example has.
    """
    example = {name: value for name, value in _EXAMPLE.items() if name in fields}
    needed = list(example if required is None else required)
    schema = {"type": "object", "required": needed, "properties": {name: _DESCRIBED[name] for name in fields}}
    content = {"schema": schema, "example": example}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}
