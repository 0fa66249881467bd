"""Search a JSON body before anything else reads it: for private keys, wherever they stand, and for what is no text."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError

from trustcast.domain import pem, private_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from fastapi import Request

    from trustcast_api.app_context import Context

BETWEEN: Final = "|"  # in no alphabet in which keys are written
# In all of a body, several times as many as any needs: to tell what is wrong with each of more takes too long.
_MOST_VALUES = 1000


async def search_body(request: Request, fields: Collection[str]) -> None:
    """Refuse a body that holds a private key, in an unknown field or a broken body, too, or a text that is none.

    What stands in one of `fields` is named; other names may be anything. Raises `Rejected("private_key")`,
    `RequestValidationError`, also for a body of very many values.
    """
    context: Context = request.app.state.context
    body = await request.body()
    # In one thread, as uploads: many that take turns make everybody wait longer.
    await asyncio.get_running_loop().run_in_executor(context.reader, _search, body, fields)


def _search(body: bytes, fields: Collection[str]) -> None:
    members = _members(body)
    found = {name: BETWEEN.join((name, *texts(value))) for name, value in members.items()}
    everything = BETWEEN.join(found.values()).encode(errors="surrogatepass")
    if private_key.found_in(everything):
        for name, text in found.items():
            pem.refuse_private_key(text.encode(errors="surrogatepass"), name if name in fields else None)
    pem.refuse_private_key(everything)
    pem.refuse_private_key(body)
    _refuse_very_many(members, fields)
    for name, text in found.items():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can write half of a surrogate pair
            place = ("body", name) if name in fields else ("body",)
            raise RequestValidationError([{"type": "string_unicode", "loc": place, "input": None}]) from None


def _refuse_very_many(members: Mapping[str, Any], fields: Collection[str]) -> None:
    """Name the field that has them; there are not that many fields, so otherwise one of them is unknown."""
    counts = {name: sum(1 for _ in _values(value)) for name, value in members.items()}
    if sum(counts.values()) <= _MOST_VALUES:
        return
    largest = max(counts, key=counts.__getitem__)
    told: dict[str, Any] = {"type": "extra_forbidden", "loc": ("body", ""), "input": None}
    if largest in fields and counts[largest] > _MOST_VALUES // 2:
        told |= {"type": "too_long", "loc": ("body", largest), "ctx": {"max_length": _MOST_VALUES // 2}}
    raise RequestValidationError([told])


def _members(body: bytes) -> Mapping[str, Any]:
    """Return the members of the body; nothing where it is no JSON, which others say."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {"": parsed}


def texts(value: Any) -> Iterator[str]:
    """Give all texts that stand in what a JSON parser returned, names too."""
    return (one for one in _values(value) if isinstance(one, str))


def _values(value: Any) -> Iterator[Any]:
    """Give all that stands in a value, names too; of lists and objects what they hold and themselves."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield one
        match one:
            case list(several) | tuple(several):  # a parser may return members as pairs
                waiting.extend(several)
            case dict(members):
                waiting.extend((*members, *members.values()))
            case _:
                pass
