"""What did not validate, in words for people: the field as a dotted path, and what to send instead of what was sent.

Nothing of the input is repeated; that includes the names of fields that there are not.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from trustcast_api.schemas import NAME, PROSE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import Request
    from fastapi.exceptions import RequestValidationError

FieldError = dict[str, str | None]

# What a pattern of ours asks for. A test holds this against every pattern of the document.
RULES: Final = {
    NAME: "Send 1 to 255 characters, without control characters and marks that turn the direction of writing.",
    PROSE: "Send a text without NUL, and without marks that steer a terminal or turn the direction of writing.",
    r"^[0-9a-f]{64}$": "Send a SHA-256: 64 hexadecimal digits in lower case.",
    r"^[a-z0-9_]{1,64}$": "Send 1 to 64 characters: lower-case letters of ASCII, digits and underscores.",
    r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}$": (
        "Send 1 to 255 characters: letters of ASCII, digits, spaces, dots, underscores and hyphens; a letter or digit "
        "first."
    ),
    r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$": (
        "Send a domain in lower case, such as pizza.example: letters of ASCII, digits, hyphens, underscores and dots."
    ),
    r"^[\x21-\x7e]{1,255}$": "Send 1 to 255 characters: printable ASCII without spaces.",
}
_JSON: Final = "send a JSON object, with the header Content-Type: application/json."
_TIME: Final = "Send a time as RFC 3339 has it, such as 2026-11-23T12:00:00Z."
_NUMBER: Final = "Send a whole number."
_WORDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "This is missing; send it.",
    "enum": lambda context: f"Send one of: {_listed(context['expected'])}.",
    "literal_error": lambda context: f"Send one of: {_listed(context['expected'])}.",
    "string_pattern_mismatch": lambda context: RULES.get(
        context["pattern"], "This text has characters that no such text has."
    ),
    "string_too_short": lambda context: f"Send {context['min_length']} characters or more.",
    "string_too_long": lambda context: f"Send {context['max_length']} characters or fewer.",
    "string_type": lambda _: "Send a text.",
    "string_unicode": lambda _: "Send a text in UTF-8.",
    "too_short": lambda context: f"Send {context['min_length']} or more.",
    "too_long": lambda context: f"Send {context['max_length']} or fewer.",
    "list_type": lambda _: "Send a list.",
    "model_type": lambda _: "Send an object.",
    "model_attributes_type": lambda _: "Send an object.",
    "bool_type": lambda _: "Send true or false.",
    "bool_parsing": lambda _: "Send true or false.",
    "int_type": lambda _: _NUMBER,
    "int_parsing": lambda _: _NUMBER,
    "int_parsing_size": lambda _: _NUMBER,
    "int_from_float": lambda _: _NUMBER,
    "finite_number": lambda _: _NUMBER,
    "greater_than_equal": lambda context: f"Send a number of {context['ge']} or more.",
    "less_than_equal": lambda context: f"Send a number of {context['le']} or less.",
    "less_than": lambda context: f"Send a number below {context['lt']}.",
    "datetime_type": lambda _: _TIME,
    "datetime_parsing": lambda _: _TIME,
    "datetime_from_date_parsing": lambda _: _TIME,
    "datetime_object_invalid": lambda _: _TIME,
    "value_error": lambda context: _sentence(str(context["error"])),
}
_MOST: Final = 100  # of what is wrong with one request: nobody reads more
_CODES: Final = {"missing": "field_missing", "extra_forbidden": "field_unknown"}
_ANYTHING_ELSE: Final = "This does not fit here; /openapi.json says what does."


def field_errors(request: Request, error: RequestValidationError) -> list[FieldError]:
    """Return what is wrong, each with its `field` (None where it is none in particular), `code` and `detail`.

    Of very many errors only the first hundred.
    """
    return [_told(request, one) for one in islice(error.errors(), _MOST)]


def _told(request: Request, one: Mapping[str, Any]) -> FieldError:
    kind, (place, *path) = one["type"], one["loc"]
    if kind == "json_invalid" or (place == "body" and not path):
        detail = "There is no body" if kind == "missing" else "The body is not JSON, or no object"
        return {"field": None, "code": "body_unreadable", "detail": f"{detail}: {_JSON}"}
    if kind == "extra_forbidden":
        *path, _unknown = path
        detail = _there_are(request, path)
    else:
        words = _WORDS.get(kind)
        detail = words(one.get("ctx", {})) if words else _ANYTHING_ELSE
    return {"field": ".".join(map(str, path)) or None, "code": _CODES.get(kind, "field_invalid"), "detail": detail}


def _there_are(request: Request, path: Sequence[str | int]) -> str:
    """List the fields of the object at `path` in the body of this route."""
    model = _model(request.scope["route"].body_field.field_info.annotation)
    for name in path:
        model = _model(model.model_fields[str(name)].annotation)
    return f"One field is none of those there are: {', '.join(model.model_fields)}."


def _model(annotation: Any) -> type[BaseModel]:
    """Return the model that `annotation` is, or lets be null."""
    found = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]
    return found[0]


def _listed(expected: str) -> str:
    """Pydantic lists them quoted, as Python does."""
    return ", ".join(re.findall(r"'([^']*)'", expected))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
