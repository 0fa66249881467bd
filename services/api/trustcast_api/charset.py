"""Which charsets a form may name: those that cost nothing. The parser would decode with any codec that Python has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from python_multipart.multipart import parse_options_header

from trustcast.domain.errors import Rejected

if TYPE_CHECKING:
    from fastapi import Request

_TAKEN: Final = {b"utf-8", b"us-ascii"}


def refuse_others(request: Request) -> None:
    """Refuse a form whose Content-Type names another charset than UTF-8 or ASCII. Raises `Rejected("charset")`.

    Parts are decoded on the event loop, and some codecs take seconds for 256 KB (punycode) or make text that is none
    (unicode_escape). The header is read as the form's parser reads it; what parts say of charsets, that one ignores.
    """
    _, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in _TAKEN:
        raise Rejected("charset", "Send the fields in UTF-8, and name no other charset in the Content-Type.")
