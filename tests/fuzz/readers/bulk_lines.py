"""Bodies of bulk uploads to begin with, and changes to a line: to its JSON, its members, the certificate in it."""

from __future__ import annotations

import base64
import contextlib
import json
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.readers import elements
from tests.fuzz.readers.files_of_certificates import LARGEST, armoured, files, keys, made, mutated, mutated_certificate

_URLS = ["https://backend.example", "https://b.example:0", "http://a", "https://"]
_TEXTS = ["", "a", "A" * 256, "\u0430lias", "../x", *_URLS, "\ud800", "\0", " a ", "true"]
_VALUES: list[Any] = [*_TEXTS, None, True, False, 0, -1, 1e400, 10**40, [], {}, [["x"]], {"certificate": "x"}]
_NAMES = ["alias", "endpoint", "certificate", "ca", "password", "anchor", "Alias", "", "\u202e"]
_OPEN = b"[" * 2000
_PIECES = [
    b"{",
    b"}",
    b'"',
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"\r",
    b"\n",
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e999",
    _OPEN,
]


@cache
def bodies() -> list[bytes]:
    """One line each with all files of certificates that are not too large, some with several lines, some odd."""
    whole = [_line("web", armoured(*(one.der for one in made()[:3])).decode()), *map(_line_of, made())]
    others = [_line_of_file(file) for file in files() if len(file) <= LARGEST]
    odd = [b"", b"\n\n \r\n", b"[]\n", b"[" * 5000, b'{"alias":"a","alias":"b"}\n', b"\xff\n", b'{"ca":1}', b"1" * 5000]
    key = [json.dumps({"alias": keys()[0].decode()}).replace("PRIVATE", "\\u0050RIVATE").encode()]
    return [b"".join(whole), b"\r\n".join(whole), *whole, *odd, *key, *others]


def mutated_body(data: bytes, luck: Random) -> bytes:
    """Return a body with a line changed, as JSON or as bytes; with lines left out, doubled or joined."""
    lines = data.split(b"\n")
    at, chance = luck.randrange(len(lines)), luck.random()
    if chance < 0.1:
        new = elements.changed(lines[at], luck)
    elif chance < 0.2:
        here = luck.randint(0, len(lines[at]))
        new = lines[at][:here] + luck.choice(_PIECES) + lines[at][here:]
    elif chance < 0.3:
        return b"\n".join([*lines[:at], *lines[at:][:1] * luck.choice((0, 2, 5)), luck.choice(lines), *lines[at + 1 :]])
    else:
        new = _changed_line(lines[at], luck)
    return b"\n".join([*lines[:at], new, *lines[at + 1 :]])


def _changed_line(line: bytes, luck: Random) -> bytes:
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        return _line_of(luck.choice(made())).strip()
    match luck.randrange(8):
        case 0:
            members.pop(luck.choice(list(members) or [""]), None)
        case 1:
            members[luck.choice(_NAMES)] = luck.choice(_VALUES)
        case 2:
            members["ca"] = luck.choice((True, False))
        case 3:
            text = elements.changed(str(members.get("endpoint", "")).encode("utf-8", "replace"), luck)
            members["endpoint"] = text.decode("latin-1")
        case 4:
            return line[:-1] + b',"%b":"x"}' % luck.choice(_NAMES).encode()
        case _:
            members["certificate"] = _changed_certificate(str(members.get("certificate", "")), luck)
    return json.dumps(members, ensure_ascii=luck.random() < 0.8).encode("utf-8", "surrogatepass")


def _changed_certificate(text: str, luck: Random) -> str:
    if "-----BEGIN" in text:
        return mutated(text.encode("utf-8", "replace"), luck).decode("latin-1")
    with contextlib.suppress(ValueError):
        der = base64.b64decode(text)
        return base64.b64encode(mutated_certificate(der, luck)).decode()
    return elements.changed(text.encode("utf-8", "replace"), luck).decode("latin-1")


def _line(alias: str, certificate: str) -> bytes:
    members = {"alias": alias, "endpoint": "https://backend.example", "certificate": certificate}
    return json.dumps(members).encode() + b"\n"


def _line_of(one: Any) -> bytes:
    return _line("backend", base64.b64encode(one.der).decode())


def _line_of_file(file: bytes) -> bytes:
    text = file.decode() if file.isascii() and b"-----BEGIN" in file else base64.b64encode(file).decode()
    return _line("some", text)
