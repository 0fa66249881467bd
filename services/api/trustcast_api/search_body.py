"""Search a JSON body before anything else reads it: for private keys, wherever they stand, and for what is no text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool

from trustcast.domain import pem, private_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fastapi import Request

_BETWEEN = "|"  # in no alphabet in which keys are written


async def search_body(request: Request, fields: Collection[str]) -> None:
    """Refuse a body that holds a private key, in an unknown field or a broken body, too, or a text that is none.

    What stands in one of `fields` is named; other names may be anything. Raises `Rejected("private_key")`,
    `RequestValidationError`.
    """
    await run_in_threadpool(_search, await request.body(), fields)


def _search(body: bytes, fields: Collection[str]) -> None:
    texts = dict(_members(body))
    everything = _BETWEEN.join(texts.values()).encode(errors="surrogatepass")
    if private_key.found_in(everything):
        for name, text in texts.items():
            pem.refuse_private_key(text.encode(errors="surrogatepass"), name if name in fields else None)
    pem.refuse_private_key(everything)
    pem.refuse_private_key(body)
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can write half of a surrogate pair
            place = ("body", name) if name in fields else ("body",)
            raise RequestValidationError([{"type": "string_unicode", "loc": place, "input": None}]) from None


def _members(body: bytes) -> Iterator[tuple[str, str]]:
    """Give the texts in each member of the body; nothing where it is no JSON, which others say."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return
    for name, value in parsed.items() if isinstance(parsed, dict) else [("", parsed)]:
        yield name, _BETWEEN.join((name, *_texts(value)))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(several):
                waiting.extend(several)
            case dict(members):
                waiting.extend((*members, *members.values()))
            case _:
                pass
