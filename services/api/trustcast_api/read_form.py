"""The multipart form of an upload -> its fields: each once, none that is unknown, text as text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from trustcast.domain import pem
from trustcast.domain.errors import Rejected, RejectedMany
from trustcast_api.read_upload import FIELDS, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_PARTS: Final = 20
_UNREADABLE: Final = "The body cannot be read; send it as this route's documentation says."
_CHARSET: Final = "Send the fields in UTF-8."


@dataclass(frozen=True, slots=True)
class Form:
    """A body of `multipart/form-data` as it came, with its Content-Type, and the fields that its route knows.

    A lenient one may have other fields, too, and text in files, as the Publisher takes them.
    """

    content_type: str
    body: bytes
    fields: tuple[str, ...]
    lenient: bool = False


def read_form(form: Form) -> Upload:
    """Return what was sent. Raises `Rejected`; `private_key` is one of its codes only for a field that is unknown."""
    try:
        given = _lenient(_parts(form), form.fields) if form.lenient else _strict(_parts(form), form.fields)
        if isinstance(certificate := given.pop("certificate", None), str):
            certificate = certificate.encode()
        texts = {name: _text(name, value, lenient=form.lenient) for name, value in given.items()}
    except UnicodeError:
        raise Rejected("charset", _CHARSET) from None
    return Upload(**texts, certificate=certificate)


def named(fields: Sequence[str]) -> str:
    """Return the names as part of a sentence."""
    return ", ".join(fields[:-1]) + f" and {fields[-1]}"


_Parts = list[tuple[str, str | bytes]]


def _strict(parts: _Parts, fields: Sequence[str]) -> dict[str, str | bytes]:
    given: dict[str, str | bytes] = {}
    for name, value in parts:
        if name not in fields:
            pem.refuse_private_key(value if isinstance(value, bytes) else value.encode())
            told = f"There are the fields {named(fields)}, no others."
            raise RejectedMany((Rejected("field_unknown", told, field=name if name in FIELDS else None),))
        _add(given, name, value)
    return given


def _lenient(parts: _Parts, fields: Sequence[str]) -> dict[str, str | bytes]:
    given: dict[str, str | bytes] = {}
    for name, value in parts:
        if name in fields:
            _add(given, name, value)
    return given


def _add(given: dict[str, str | bytes], name: str, value: str | bytes) -> None:
    if name in given:
        raise Rejected("field_repeated", "Send this field once.", field=name)
    given[name] = value


def _text(name: str, value: str | bytes, *, lenient: bool) -> str:
    if isinstance(value, str):
        return value
    if not lenient:
        raise Rejected("field_invalid", "Send this field as text, not as a file.", field=name)
    return value.decode()


def _parts(form: Form) -> _Parts:
    most = _MOST_PARTS if form.lenient else len(FIELDS)
    parsing = _parsed(form, most)
    try:
        parsing.send(None)
    except StopIteration as done:
        parts: _Parts = done.value
        return parts
    except MultiPartException:
        raise Rejected("body_unreadable", _UNREADABLE) from None
    raise AssertionError("the parser waits only for files that are larger than a body may be")


class _Parser(MultiPartParser):
    """Tells whether it came to the end of the form."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _parsed(form: Form, most: int) -> _Parts:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield form.body
        # The parser says nothing of a last part that is cut off, and what that part asked for would not be done.
        if form.body and not parser.ended:
            raise MultiPartException("The form has no end.")

    headers = Headers({"content-type": form.content_type})
    parser = _Parser(headers, whole(), max_files=most, max_fields=most)
    data = await parser.parse()
    try:
        return [(name, await _content(value)) for name, value in data.multi_items()]
    finally:
        await data.close()


async def _content(value: UploadFile | str) -> bytes | str:
    return await value.read() if isinstance(value, UploadFile) else value
