"""Read an upload's fields as leniently as theirs: unknown parts are left alone, and text may come as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import UploadFile

from trustcast.domain.errors import Rejected
from trustcast_api import charset
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.read_upload import Upload

if TYPE_CHECKING:
    from fastapi import Request

REPLACEMENT: Final = ("certificate", "ca")  # `ca` is not WSO2's: whoever means to trust a CA has to say so
NEW: Final = ("alias", "endpoint", *REPLACEMENT)

_MOST_PARTS: Final = 20


async def read(request: Request) -> Upload:
    """Return what was sent. Raises `UnsupportedMediaError` and `Rejected`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError("content_type", "Send the fields as multipart/form-data.")
    charset.refuse_others(request)
    try:
        fields = await _fields(request)
        certificate = fields.pop("certificate", None)
        return Upload(**{name: value.decode() for name, value in fields.items()}, certificate=certificate)
    except UnicodeError:
        raise Rejected("charset", "Send the fields in UTF-8.") from None


async def _fields(request: Request) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    async with request.form(max_files=_MOST_PARTS, max_fields=_MOST_PARTS) as form:
        for name, value in form.multi_items():
            if name in fields:
                raise Rejected("field_repeated", "Send this field once.", field=name)
            if name in NEW:
                fields[name] = await value.read() if isinstance(value, UploadFile) else value.encode()
    return fields
