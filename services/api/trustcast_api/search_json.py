"""Search a JSON text for private keys, wherever they stand, and for what is no text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trustcast.domain import pem, private_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BETWEEN: Final = "|"  # in no alphabet in which keys are written
# In all of a body, several times as many as any needs: to tell what is wrong with each of more takes too long.
MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Json:
    """A body as it came, and the names that may be repeated to whoever sent it."""

    body: bytes
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a body, in the words of pydantic; `field` is None where it may not be named."""

    type: str
    field: str | None
    context: dict[str, int] | None = None


def search_json(sent: Json) -> Fault | None:
    """Return what is wrong with a body apart from its schema: very many values, or half of a surrogate pair.

    Raises `Rejected("private_key")`, also for one in an unknown field or in what is no JSON.
    """
    members = _members(sent.body)
    found = {name: BETWEEN.join((name, *texts(value))) for name, value in members.items()}
    everything = BETWEEN.join(found.values()).encode(errors="surrogatepass")
    if private_key.found_in(everything):
        for name, text in found.items():
            pem.refuse_private_key(text.encode(errors="surrogatepass"), name if name in sent.fields else None)
    pem.refuse_private_key(everything)
    pem.refuse_private_key(sent.body)
    if (many := _very_many(members, sent.fields)) is not None:
        return many
    for name, text in found.items():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can write half of a surrogate pair
            return Fault("string_unicode", name if name in sent.fields else None)
    return None


def _very_many(members: Mapping[str, Any], fields: frozenset[str]) -> Fault | None:
    """Name the field that has them; there are not that many fields, so otherwise one of them is unknown."""
    counts = {name: sum(1 for _ in _values(value)) for name, value in members.items()}
    if sum(counts.values()) <= MOST_VALUES:
        return None
    largest = max(counts, key=counts.__getitem__)
    if largest in fields and counts[largest] > MOST_VALUES // 2:
        return Fault("too_long", largest, {"max_length": MOST_VALUES // 2})
    return Fault("extra_forbidden", "")


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
