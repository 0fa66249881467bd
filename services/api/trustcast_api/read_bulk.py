"""The door for many: lines of NDJSON, each read as strictly as a single upload, and what is wrong with each."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trustcast.domain import alias as aliases
from trustcast.domain import certificate_file, pem, private_key
from trustcast.domain.certificate_file import Chosen
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import FieldErrors, Rejected, RejectedMany
from trustcast.domain.operation import Kind
from trustcast_api.read_upload import FIELDS as FIELDS_OF_FORMS
from trustcast_api.request import Line, Request
from trustcast_api.search_json import BETWEEN, texts

MAX_LINE_BYTES = 256 * 1024
MAX_LINES = 10_000
FIELDS = ("alias", "endpoint", "certificate", "ca")
REASONS = {
    "line_too_long": "This line is longer than 256 KB; a certificate is a few KB.",
    "line_not_utf8": "This line is not UTF-8.",
    "line_not_json": (
        "This line is not a JSON object on a line of its own, such as "
        '{"alias": "billing", "endpoint": "https://billing.example", "certificate": "MIIB…"}.'
    ),
    "field_unknown": "There are the members alias, endpoint, certificate and ca, no others.",
    "field_repeated": "Send this member once.",
    "field_missing": "This member is missing.",
    "field_invalid": "Send a text, in quotation marks.",
    "certificate_encoding": "Send the certificate in PEM, or the base64 of its DER form (base64 -w0 file.der).",
}
_NO_FLAG = "Send true or false, without quotation marks, or leave the member out."
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Raw:
    """A line as it came, None if it is too long; `number` counts from 1."""

    number: int
    data: bytes | None


class Lines:
    """Splits a body that comes in pieces into its lines, and keeps of none more than `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self.number = 0
        self._hash = self._at_end = hashlib.sha256()
        self._begun: bytes | None = b""  # of a line whose end is to come; None: too long by now
        self._open = False

    def feed(self, data: bytes) -> Iterator[Raw]:
        """Yield the lines that end in `data`."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._add(data[start : end + 1])
            yield self._line()
            start = end + 1
        if start < len(data):
            self._add(data[start:])

    def end(self) -> Iterator[Raw]:
        """Yield the last line if no line break ended it."""
        if self._open:
            yield self._line()

    def sha256(self) -> str:
        """Return the SHA-256, in hexadecimal, of all bytes up to the end of the line that was yielded last."""
        return self._at_end.hexdigest()

    def _add(self, part: bytes) -> None:
        self._hash.update(part)
        self._open = True
        if self._begun is not None:
            whole = self._begun + part
            self._begun = whole if len(whole.rstrip(b"\r\n")) <= MAX_LINE_BYTES else None

    def _line(self) -> Raw:
        self.number += 1
        self._at_end = self._hash.copy()
        data, self._begun, self._open = self._begun, b"", False
        return Raw(self.number, data)


def is_blank(raw: Raw) -> bool:
    """Tell whether there is nothing on a line."""
    return raw.data is not None and not raw.data.strip(_BLANK)


def read_line(raw: Raw) -> Line:
    """Return the line's request, or its problem: a `Rejected` that repeats nothing of what was sent."""
    if raw.data is None:
        return Line(raw.number, None, problem=_rejected("line_too_long"))
    alias = None
    try:
        pairs = _pairs(raw.data)
        alias = _alias_to_show(pairs)
        request = _request(_members(raw.data, pairs))
    except RejectedMany as refused:
        of_keys = [one for one in refused.errors if one.code == "private_key"]
        return Line(raw.number, alias, problem=[*of_keys, *refused.errors][0])
    except Rejected as refused:
        return Line(raw.number, alias, problem=refused)
    return Line(raw.number, alias, request)


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as they come, with those that come twice."""


def _pairs(data: bytes) -> _Pairs:
    try:
        pairs = json.loads(data.decode(), object_pairs_hook=_Pairs)
    except UnicodeDecodeError:
        raise _after_search(_rejected("line_not_utf8"), data) from None
    except (ValueError, RecursionError):
        raise _after_search(_rejected("line_not_json"), data) from None
    if not isinstance(pairs, _Pairs):
        raise _after_search(_rejected("line_not_json"), data, pairs)
    return pairs


def _members(data: bytes, pairs: _Pairs) -> dict[str, Any]:
    """Return the four members, each once and of its type; what is more or other is searched before it is refused."""
    names = [name for name, _ in pairs]
    if others := [name for name in names if name not in FIELDS]:
        of_forms = next((name for name in others if name in FIELDS_OF_FORMS), None)
        raise _after_search(_rejected("field_unknown", of_forms), data, pairs)
    for name in FIELDS:
        if names.count(name) > 1:
            raise _after_search(_rejected("field_repeated", name), data, pairs)
        if name not in names and name != "ca":
            raise _after_search(_rejected("field_missing", name), data, pairs)
    for name, value in pairs:
        if name == "ca" and not isinstance(value, bool):
            raise _after_search(Rejected("field_invalid", _NO_FLAG, field=name), data, pairs)
        if name != "ca" and not isinstance(value, str):
            raise _after_search(_rejected("field_invalid", name), data, pairs)
    return dict(pairs)


def _request(members: dict[str, Any]) -> Request:
    """Each text is searched for private keys: the certificate's where it is read."""
    errors = FieldErrors()
    with errors.of("alias"):
        pem.refuse_private_key(_bytes(members["alias"]), "alias")
        alias = aliases.checked(members["alias"])
    with errors.of("endpoint"):
        pem.refuse_private_key(_bytes(members["endpoint"]), "endpoint")
        endpoint = str(Endpoint.parse(members["endpoint"]))
    with errors.of("certificate"):
        chosen = _certificate(_file(members["certificate"]))
    errors.raise_if_any()
    return Request(
        kind=Kind.ADD,
        alias=alias,
        endpoint=endpoint,
        certificate=chosen.certificate,
        chain=chosen.chain,
        ca=members.get("ca", False),
    )


def _certificate(data: bytes) -> Chosen:
    """One certificate in DER is not read further: the worker does, in parallel, and a third of the time here goes."""
    if not data.startswith(b"0"):  # the tag of a SEQUENCE
        return certificate_file.read(data)
    pem.refuse_private_key(data, "certificate")
    try:
        certificate_file.check_outline(data)
    except Rejected:
        return certificate_file.read(data)
    return Chosen(data)


def _file(text: str) -> bytes:
    if "-----BEGIN" in text:
        return _bytes(text)
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise _after_search(_rejected("certificate_encoding", "certificate"), _bytes(text)) from None


def _alias_to_show(pairs: _Pairs) -> str | None:
    """Return what the line says its alias is, where that may be shown to anybody."""
    match [value for name, value in pairs if name == "alias"]:
        case [str(text)] if not private_key.found_in(_bytes(text)):
            with contextlib.suppress(Rejected):
                return aliases.checked(text)
    return None


def _after_search(refusal: Rejected, data: bytes, parsed: Any = None) -> Rejected:
    """Return the refusal, or a graver one: escapes of JSON may hide a private key from whoever looks at the bytes."""
    unescaped = BETWEEN.join(texts(parsed)).encode(errors="surrogatepass")
    if private_key.found_in(data) or private_key.found_in(unescaped):
        return Rejected("private_key", pem.REASONS["private_key"], field=refusal.field)
    return refusal


def _bytes(text: str) -> bytes:
    """JSON can write half of a surrogate pair; whoever reads on refuses it."""
    return text.encode(errors="surrogatepass")


def _rejected(code: str, field: str | None = None) -> Rejected:
    return Rejected(code, REASONS[code], field=field)
