"""The two error vocabularies and the dictionary between them."""

from __future__ import annotations

import pytest

from trustcast.domain import errors
from trustcast.domain.errors import Conflict, FieldErrors, NotFound, Rejected, RejectedMany, TrustcastError, Unavailable
from trustcast_api import problems


def test_all_field_errors_come_at_once() -> None:
    found = FieldErrors()
    with found.of("alias"):
        raise Rejected("alias_invalid", "No.")
    with found.of("endpoint"):
        pass
    with found.of("certificate"):
        raise Rejected("certificate_unreadable", "No.", field="certificate")

    with pytest.raises(RejectedMany) as refused:
        found.raise_if_any()

    assert [(one.field, one.code) for one in refused.value.errors] == [
        ("alias", "alias_invalid"),
        ("certificate", "certificate_unreadable"),
    ]
    assert refused.value.code == "invalid_request"


def test_single_field_error_keeps_its_own_code() -> None:
    found = FieldErrors()
    with found.of("alias"):
        raise Rejected("alias_invalid", "No.")

    with pytest.raises(RejectedMany) as refused:
        found.raise_if_any()

    assert (refused.value.code, refused.value.field) == ("alias_invalid", "alias")


def test_no_field_error_raises_nothing() -> None:
    FieldErrors().raise_if_any()


def test_what_is_no_refusal_is_not_collected() -> None:
    found = FieldErrors()

    with pytest.raises(Unavailable), found.of("alias"):
        raise Unavailable("disk_full", "Full.")


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = errors.__doc__ or ""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TrustcastError)]

    assert [kind.__name__ for kind in kinds if kind.__name__ not in drawn] == []


def test_every_error_a_request_can_meet_has_a_status() -> None:
    for kind in (Rejected, Conflict, NotFound, Unavailable):
        assert kind in problems.STATUS_OF


def test_problem_says_what_it_says_in_one_form() -> None:
    assert problems.of_operation({"kind": "Conflict", "code": "alias_exists", "detail": "No.", "field": "alias"}) == {
        "type": "urn:trustcast:problem:alias_exists",
        "title": "Conflict",
        "status": 409,
        "detail": "No.",
        "code": "alias_exists",
        "errors": [{"field": "alias", "code": "alias_exists", "detail": "No."}],
    }


@pytest.mark.parametrize(("kind", "status"), [("Rejected", 400), ("Failed", 503), ("SomethingOlder", 400), ("", 400)])
def test_kept_problem_has_a_status_whatever_kind_it_is_of(kind: str, status: int) -> None:
    kept = {"kind": kind, "code": "x", "detail": "No.", "field": None}

    assert (problems.of_operation(kept)["status"], problems.of_operation(kept)["errors"]) == (status, [])


def test_private_key_stands_alone() -> None:
    errors = FieldErrors()
    with errors.of("alias"):
        raise Rejected("alias_invalid", "No.")
    with errors.of("certificate"):
        raise Rejected("private_key", "No.")

    with pytest.raises(RejectedMany) as refused:
        errors.raise_if_any()

    assert [(one.code, one.field) for one in refused.value.errors] == [("private_key", "certificate")]


def test_private_key_stands_alone_whatever_the_others_are_called_and_how_many_there_are() -> None:
    errors = FieldErrors()
    for field, code in (("alias", "a"), ("url", "url_scheme"), ("endpoint", "private_key"), ("name", "private_key")):
        with errors.of(field):
            raise Rejected("_".join(code.split("_")), "No.")  # as a text that came from outside is

    with pytest.raises(RejectedMany) as refused:
        errors.raise_if_any()

    assert [(one.code, one.field) for one in refused.value.errors] == [("private_key", "endpoint")]
