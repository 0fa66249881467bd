"""A form is read whole or refused."""

from __future__ import annotations

import pytest

from tests.faults.hostile_bodies import FORM, file, part
from trustcast.domain.errors import Rejected
from trustcast_api.read_form import Form, read_form
from trustcast_api.read_upload import FIELDS, Upload

PARTS = [part("alias", b"web"), file(b"a certificate"), part("activate_at", b"2027-01-31T06:00:00Z")]


def read(body: bytes, *, lenient: bool = False) -> Upload:
    return read_form(Form(FORM, body, FIELDS, lenient=lenient))


@pytest.mark.parametrize("end", [b"--x--\r\n", b"--x--", b"--x--\r\nwhat a mail program may write here"])
def test_form_is_what_stands_before_its_end(end: bytes) -> None:
    upload = read(b"".join(PARTS) + end)

    assert upload == Upload("web", certificate=b"a certificate", activate_at="2027-01-31T06:00:00Z")


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("end", [b"", b"--x", b"--x\r\n", b"--x\r\nContent-Disposition", part("ca", b"true")[:-2]])
@pytest.mark.parametrize("parts", [PARTS, PARTS[:2], []])
def test_form_that_is_cut_off_is_refused_and_not_read_without_its_last_part(
    parts: list[bytes], end: bytes, lenient: bool
) -> None:
    """Else a certificate would be trusted at once whose `activate_at` is missing, and nobody would be told."""
    body = b"".join(parts) + end
    if not body:
        return

    with pytest.raises(Rejected) as caught:
        read(body, lenient=lenient)

    assert caught.value.code == "body_unreadable"


def test_file_that_is_cut_off_is_closed() -> None:
    """A file that nobody closes is a warning, and here a warning is a failure."""
    with pytest.raises(Rejected):
        read(PARTS[0] + PARTS[1][:-4])


def test_body_of_nothing_is_a_form_without_fields() -> None:
    assert read(b"") == Upload()
