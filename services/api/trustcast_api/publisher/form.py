"""The form of an upload as theirs is: unknown parts are left alone, and text may come as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trustcast_api import charset
from trustcast_api.problems import UnsupportedMediaError
from trustcast_api.read_form import Form

if TYPE_CHECKING:
    from fastapi import Request

REPLACEMENT: Final = ("certificate", "ca")  # `ca` is not WSO2's: whoever means to trust a CA has to say so
NEW: Final = ("alias", "endpoint", *REPLACEMENT)


async def sent(request: Request) -> Form:
    """Return the form that was sent, to be read. Raises `UnsupportedMediaError` and `Rejected("charset")`."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError("content_type", "Send the fields as multipart/form-data.")
    charset.refuse_others(request)
    return Form(content_type, await request.body(), NEW, lenient=True)
