"""Which requests may still take effect, given who holds what."""

from __future__ import annotations

import pytest

from trustcast.domain.errors import Conflict
from trustcast.domain.register import Holding, Register

WEB = Holding(-1234, "web", "https://web.example:443", "a" * 64)


def conflict(register: Register, new: Holding) -> tuple[str, str | None]:
    with pytest.raises(Conflict) as refused:
        register.add(new)
    return refused.value.code, refused.value.field


def test_empty_register_takes_anything() -> None:
    Register([], per_endpoint=1).add(WEB)


def test_alias_is_held_once() -> None:
    other = Holding(-1234, "web", "https://other.example:443", "b" * 64)

    assert conflict(Register([WEB], per_endpoint=1), other) == ("alias_exists", "alias")


def test_certificate_is_held_once() -> None:
    other = Holding(-1234, "other", "https://other.example:443", "a" * 64)

    assert conflict(Register([WEB], per_endpoint=1), other) == ("certificate_exists", "certificate")


def test_endpoint_has_one() -> None:
    other = Holding(-1234, "other", WEB.endpoint, "b" * 64)

    assert conflict(Register([WEB], per_endpoint=1), other) == ("endpoint_has_certificate", "endpoint")


def test_endpoint_has_as_many_as_allowed() -> None:
    register = Register([WEB], per_endpoint=2)
    register.add(Holding(-1234, "b", WEB.endpoint, "b" * 64))

    assert conflict(register, Holding(-1234, "c", WEB.endpoint, "c" * 64))[0] == "endpoint_has_certificate"


def test_endpoint_has_any_number_without_a_limit() -> None:
    register = Register([WEB], per_endpoint=None)

    for number in range(20):
        register.add(Holding(-1234, f"b-{number}", WEB.endpoint, f"{number:064}"))


def test_alias_is_asked_for_first_then_the_certificate_then_the_endpoint() -> None:
    register = Register([WEB], per_endpoint=1)

    assert conflict(register, WEB)[0] == "alias_exists"
    assert conflict(register, Holding(-1234, "b", WEB.endpoint, WEB.fingerprint_sha256))[0] == "certificate_exists"


def test_request_before_counts_for_the_one_after() -> None:
    register = Register([], per_endpoint=1)
    register.add(WEB)

    assert conflict(register, WEB)[0] == "alias_exists"


def test_refused_request_takes_nothing() -> None:
    register = Register([WEB], per_endpoint=1)
    conflict(register, Holding(-1234, "b", WEB.endpoint, "b" * 64))

    register.add(Holding(-1234, "b", "https://b.example:443", "b" * 64))


def test_delete_frees_alias_certificate_and_endpoint() -> None:
    register = Register([WEB], per_endpoint=1)

    register.delete(-1234, "web")
    register.add(WEB)


def test_what_is_not_there_cannot_be_deleted() -> None:
    register = Register([WEB], per_endpoint=1)
    register.delete(-1234, "web")

    with pytest.raises(Conflict) as refused:
        register.delete(-1234, "web")
    assert refused.value.code == "certificate_not_found"


def test_tenants_do_not_see_one_another() -> None:
    register = Register([WEB], per_endpoint=1)

    register.add(Holding(7, "web", WEB.endpoint, WEB.fingerprint_sha256))
    with pytest.raises(Conflict):
        register.delete(8, "web")
