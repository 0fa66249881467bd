"""What can be asked of the process that reads what clients sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trustcast_api import read_bulk, read_upload
from trustcast_api.read_form import Form, read_form
from trustcast_api.read_upload import Upload
from trustcast_api.reading.wire import Reading
from trustcast_api.request import Line, Request
from trustcast_api.search_json import Fault, Json, search_json


@dataclass(frozen=True, slots=True)
class Single:
    """What a form asks to add, and for which endpoint in its own words."""

    request: Request
    endpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """A form for the successor of what has `alias`; see `read_upload.read_replacement`."""

    form: Form
    alias: str
    if_match: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Rotating:
    """A form for the certificate that is to come after that of `alias`."""

    form: Form
    alias: str


def read_new(form: Form) -> Request | Upload:
    """Return what a form asks to add; a key store as it was sent: to read it takes longer. Raises `Rejected`."""
    sent = read_form(form)
    return sent if read_upload.holds_many(sent) else read_upload.read_upload(sent)


def read_single(form: Form) -> Single:
    """Raises `Rejected`, also for a key store."""
    sent = read_form(form)
    return Single(read_upload.read_upload(sent), sent.endpoint)


def read_replacing(asked: Replacing) -> Request:
    """Raises `Rejected`."""
    sent = read_form(asked.form)
    return read_upload.read_replacement(asked.alias, sent, if_match=asked.if_match, force=asked.force)


def read_rotating(asked: Rotating) -> Request:
    """Raises `Rejected`."""
    return read_upload.read_rotation(asked.alias, read_form(asked.form))


def read_keystore(sent: Upload) -> list[Line]:
    """Raises `Rejected`."""
    return read_upload.read_entries(sent)


def read_lines(raws: list[read_bulk.Raw]) -> list[Line]:
    """Read lines of a bulk, each for itself."""
    return [read_bulk.read_line(one) for one in raws]


def search(body: Json) -> Fault | None:
    """Raises `Rejected("private_key")`."""
    return search_json(body)


NEW: Final = Reading(read_new)
SINGLE: Final = Reading(read_single)
REPLACING: Final = Reading(read_replacing)
ROTATING: Final = Reading(read_rotating)
KEYSTORE: Final = Reading(read_keystore)
LINES: Final = Reading(read_lines)
SEARCH: Final = Reading(search)

BY_NAME: Final[dict[str, Reading[Any, Any]]] = {
    one.name: one for one in (NEW, SINGLE, REPLACING, ROTATING, KEYSTORE, LINES, SEARCH)
}
