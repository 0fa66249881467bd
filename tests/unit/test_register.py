"""Which requests may still take effect, given who holds what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from trustcast.domain.errors import Conflict, PreconditionFailed
from trustcast.domain.register import Holding, Register

WEB = Holding(-1234, "web", "https://web.example:443", "a" * 64)
TENANTS = (-1234, 7, 8)
ONE, TWO = dict.fromkeys(TENANTS, 1), dict.fromkeys(TENANTS, 2)
ANY: dict[int, int | None] = dict.fromkeys(TENANTS)
NEW = Holding(-1234, "web", WEB.endpoint, "b" * 64)
NEXT = Holding(-1234, "web.next", WEB.endpoint, "b" * 64, rotates="web")


def conflict(register: Register, new: Holding) -> tuple[str, str | None]:
    with pytest.raises(Conflict) as refused:
        register.add(new)
    return refused.value.code, refused.value.field


def test_empty_register_takes_anything() -> None:
    Register([], per_endpoint=ONE).add(WEB)


def test_alias_is_held_once() -> None:
    other = Holding(-1234, "web", "https://other.example:443", "b" * 64)

    assert conflict(Register([WEB], per_endpoint=ONE), other) == ("alias_exists", "alias")


def test_certificate_is_held_once() -> None:
    other = Holding(-1234, "other", "https://other.example:443", "a" * 64)

    assert conflict(Register([WEB], per_endpoint=ONE), other) == ("certificate_exists", "certificate")


def test_endpoint_has_one() -> None:
    other = Holding(-1234, "other", WEB.endpoint, "b" * 64)

    assert conflict(Register([WEB], per_endpoint=ONE), other) == ("endpoint_has_certificate", "endpoint")


def test_endpoint_has_as_many_as_allowed() -> None:
    register = Register([WEB], per_endpoint=TWO)
    register.add(Holding(-1234, "b", WEB.endpoint, "b" * 64))

    assert conflict(register, Holding(-1234, "c", WEB.endpoint, "c" * 64))[0] == "endpoint_has_certificate"


def test_limit_of_an_endpoint_is_named() -> None:
    register = Register([WEB], per_endpoint=TWO)
    register.add(Holding(-1234, "b", WEB.endpoint, "b" * 64))

    with pytest.raises(
        Conflict, match=f"the 2 certificates that it may have, one of them under the alias {WEB.alias_key}"
    ):
        register.add(Holding(-1234, "c", WEB.endpoint, "c" * 64))


def test_endpoint_has_any_number_without_a_limit() -> None:
    register = Register([WEB], per_endpoint=ANY)

    for number in range(20):
        register.add(Holding(-1234, f"b-{number}", WEB.endpoint, f"{number:064}"))


def test_each_tenant_has_a_limit_of_its_own() -> None:
    register = Register([], per_endpoint={7: 1, 8: 2})
    for tenant in (7, 8):
        register.add(Holding(tenant, "a", WEB.endpoint, "a" * 64))

    assert conflict(register, Holding(7, "b", WEB.endpoint, "b" * 64))[0] == "endpoint_has_certificate"
    register.add(Holding(8, "b", WEB.endpoint, "b" * 64))


def test_endpoint_that_is_full_is_told_which_settings_make_room() -> None:
    with pytest.raises(Conflict) as refused:
        Register([WEB], per_endpoint=ONE).add(Holding(-1234, "b", WEB.endpoint, "b" * 64))

    assert "this tenant's certificates_per_endpoint" in refused.value.detail
    assert "TRUSTCAST_CERTIFICATES_PER_ENDPOINT" in refused.value.detail


def test_alias_is_asked_for_first_then_the_certificate_then_the_endpoint() -> None:
    register = Register([WEB], per_endpoint=ONE)

    assert conflict(register, WEB)[0] == "alias_exists"
    assert conflict(register, Holding(-1234, "b", WEB.endpoint, WEB.fingerprint_sha256))[0] == "certificate_exists"


def test_request_before_counts_for_the_one_after() -> None:
    register = Register([], per_endpoint=ONE)
    register.add(WEB)

    assert conflict(register, WEB)[0] == "alias_exists"


def test_refused_request_takes_nothing() -> None:
    register = Register([WEB], per_endpoint=ONE)
    conflict(register, Holding(-1234, "b", WEB.endpoint, "b" * 64))

    register.add(Holding(-1234, "b", "https://b.example:443", "b" * 64))


def test_delete_frees_alias_certificate_and_endpoint() -> None:
    register = Register([WEB], per_endpoint=ONE)

    register.delete(-1234, "web")
    register.add(WEB)


def test_what_is_not_there_cannot_be_deleted() -> None:
    register = Register([WEB], per_endpoint=ONE)
    register.delete(-1234, "web")

    with pytest.raises(Conflict) as refused:
        register.delete(-1234, "web")
    assert refused.value.code == "certificate_not_found"


def test_tenants_do_not_see_one_another() -> None:
    register = Register([WEB], per_endpoint=ONE)

    register.add(Holding(7, "web", WEB.endpoint, WEB.fingerprint_sha256))
    with pytest.raises(Conflict):
        register.delete(8, "web")


def code(change: Callable[[], object]) -> str:
    with pytest.raises(Conflict) as refused:
        change()
    return refused.value.code


def test_replace_takes_the_place_and_frees_the_certificate() -> None:
    register = Register([WEB], per_endpoint=ONE)

    register.replace(NEW)

    assert register.held(-1234, "web") == NEW
    register.add(Holding(-1234, "other", "https://other.example:443", WEB.fingerprint_sha256))


def test_replace_with_the_same_certificate_is_no_change() -> None:
    register = Register([WEB], per_endpoint=ONE)

    register.replace(WEB)

    assert register.held(-1234, "web") == WEB


def test_replace_keeps_the_alias_as_it_is_shown() -> None:
    shown = Holding(-1234, "web", WEB.endpoint, WEB.fingerprint_sha256, alias="Web")
    register = Register([shown], per_endpoint=ONE)

    register.replace(Holding(-1234, "web", WEB.endpoint, "b" * 64, alias="WEB"))

    assert (held := register.held(-1234, "web")) is not None
    assert held.alias == "Web"


def test_what_is_not_there_cannot_be_replaced() -> None:
    assert code(lambda: Register([], per_endpoint=ONE).replace(NEW)) == "certificate_not_found"


def test_replace_does_not_take_a_certificate_that_another_alias_has() -> None:
    other = Holding(-1234, "other", "https://other.example:443", NEW.fingerprint_sha256)

    assert code(lambda: Register([WEB, other], per_endpoint=ONE).replace(NEW)) == "certificate_exists"


def test_replace_is_for_the_endpoint_that_it_was_made_for() -> None:
    moved = Holding(-1234, "web", "https://moved.example:443", "c" * 64)

    assert code(lambda: Register([moved], per_endpoint=ONE).replace(NEW)) == "certificate_changed"


def test_if_match_names_the_certificate_that_may_be_replaced() -> None:
    register = Register([WEB], per_endpoint=ONE)

    with pytest.raises(PreconditionFailed):
        register.replace(NEW, if_match="c" * 64)
    register.replace(NEW, if_match=WEB.fingerprint_sha256)

    assert register.held(-1234, "web") == NEW


def test_rotation_comes_beside_whatever_the_limit_of_the_endpoint_is() -> None:
    register = Register([WEB], per_endpoint=ONE)

    register.add(NEXT)

    assert register.held(-1234, "web") == WEB
    assert register.held(-1234, "web.next") == NEXT


def test_rotation_does_not_count_for_the_limit_of_others() -> None:
    register = Register([WEB, NEXT], per_endpoint=TWO)

    register.add(Holding(-1234, "third", WEB.endpoint, "c" * 64))


def test_rotation_needs_the_one_that_it_is_for() -> None:
    assert code(lambda: Register([], per_endpoint=ONE).add(NEXT)) == "certificate_not_found"


def test_rotation_is_for_the_endpoint_that_it_was_made_for() -> None:
    moved = Holding(-1234, "web", "https://moved.example:443", "c" * 64)

    assert code(lambda: Register([moved], per_endpoint=ONE).add(NEXT)) == "certificate_changed"


def test_second_rotation_waits_for_the_first() -> None:
    again = Holding(-1234, "web.next", WEB.endpoint, "c" * 64, rotates="web")
    chained = Holding(-1234, "web.next.next", WEB.endpoint, "c" * 64, rotates="web.next")

    assert code(lambda: Register([WEB, NEXT], per_endpoint=ONE).add(again)) == "rotation_under_way"
    assert code(lambda: Register([WEB, NEXT], per_endpoint=ONE).add(chained)) == "rotation_under_way"


def test_rotation_does_not_take_an_alias_that_somebody_has() -> None:
    somebodys = Holding(-1234, "web.next", "https://other.example:443", "c" * 64)

    assert code(lambda: Register([WEB, somebodys], per_endpoint=ONE).add(NEXT)) == "alias_exists"


def test_old_certificate_stays_as_it_is_while_it_is_rotated() -> None:
    other = Holding(-1234, "web", WEB.endpoint, "c" * 64)

    assert code(lambda: Register([WEB, NEXT], per_endpoint=ONE).replace(other)) == "rotation_under_way"
    assert code(lambda: Register([WEB, NEXT], per_endpoint=ONE).delete(-1234, "web")) == "rotation_under_way"


def test_next_one_may_be_replaced_and_is_still_the_next_one() -> None:
    register = Register([WEB, NEXT], per_endpoint=ONE)

    register.replace(Holding(-1234, "web.next", WEB.endpoint, "c" * 64))

    assert register.held(-1234, "web.next") == Holding(-1234, "web.next", WEB.endpoint, "c" * 64, rotates="web")


def test_end_of_a_rotation_leaves_the_new_certificate_under_the_old_alias() -> None:
    register = Register([WEB, NEXT], per_endpoint=ONE)

    register.finish(NEW, successor="web.next")

    assert register.held(-1234, "web") == NEW
    assert register.held(-1234, "web.next") is None


def test_rotation_that_is_no_more_cannot_end() -> None:
    plain = Holding(-1234, "web.next", WEB.endpoint, "b" * 64)

    assert code(lambda: Register([WEB], per_endpoint=ONE).finish(NEW, successor="web.next")) == "rotation_not_found"
    assert (
        code(lambda: Register([WEB, plain], per_endpoint=ONE).finish(NEW, successor="web.next")) == "rotation_not_found"
    )
    assert code(lambda: Register([NEXT], per_endpoint=ONE).finish(NEW, successor="web.next")) == "certificate_not_found"


def test_rotation_ends_with_the_certificate_that_every_gateway_has() -> None:
    replaced = Holding(-1234, "web.next", WEB.endpoint, "c" * 64, rotates="web")

    assert code(lambda: Register([WEB, replaced], per_endpoint=ONE).finish(NEW, successor="web.next")) == (
        "certificate_changed"
    )


def test_rotation_called_off_leaves_the_old_certificate() -> None:
    register = Register([WEB, NEXT], per_endpoint=ONE)

    register.cancel(-1234, "web.next", rotates="web")

    assert register.held(-1234, "web") == WEB
    assert register.held(-1234, "web.next") is None


def test_calling_off_a_rotation_lets_nothing_else_go() -> None:
    plain = Holding(-1234, "web.next", "https://other.example:443", "c" * 64)

    assert code(lambda: Register([WEB, plain], per_endpoint=ONE).cancel(-1234, "web.next", rotates="web")) == (
        "rotation_not_found"
    )


def test_longest_alias_can_be_replaced_although_it_cannot_be_rotated() -> None:
    long = Holding(-1234, "a" * 255, WEB.endpoint, "a" * 64)
    register = Register([long], per_endpoint=ONE)

    register.delete(-1234, "a" * 255)

    assert register.held(-1234, "a" * 255) is None


def test_alias_that_ends_in_another_tenants_id_is_that_tenants_on_gateways() -> None:
    register = Register([], per_endpoint=ANY, tenants={7})
    theirs = Holding(-1234, "web_7", WEB.endpoint, "a" * 64)

    assert code(lambda: register.add(theirs)) == "alias_reserved"
    for free in ("web_8", "web_07", "web_7.next", "web7"):
        register.add(Holding(-1234, free, WEB.endpoint, f"{free:0>64}"))
    register.add(Holding(7, "web_7", WEB.endpoint, "a" * 64))


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        (Holding(-1234, "web", "https://other.example:443", "b" * 64), ["PUT /v1/certificates/web"]),
        (Holding(-1234, "other", "https://other.example:443", "a" * 64), ["PUT /v1/certificates/web"]),
        (
            Holding(-1234, "other", WEB.endpoint, "b" * 64),
            ["PUT /v1/certificates/web", "POST /v1/certificates/web/rotation"],
        ),
    ],
)
def test_nobody_is_advised_to_delete_what_gateways_need_until_the_next_one_is_there(
    other: Holding, advice: list[str]
) -> None:
    with pytest.raises(Conflict) as refusal:
        Register([WEB], per_endpoint=ONE).add(other)

    assert all(one in refusal.value.detail for one in advice)
    assert "delete" not in refusal.value.detail


def _detail(register: Register, new: Holding) -> str:
    with pytest.raises(Conflict) as refused:
        register.add(new)
    return refused.value.detail


def test_who_has_an_endpoint_alone_or_first_is_named() -> None:
    second = Holding(-1234, "second", WEB.endpoint, "b" * 64)
    new = Holding(-1234, "new", WEB.endpoint, "c" * 64)

    alone = _detail(Register([WEB], per_endpoint=ONE), new)
    first = _detail(Register([WEB, second], per_endpoint=TWO), new)

    assert "has a certificate, under the alias web." in alone
    assert "has the 2 certificates that it may have, one of them under the alias web." in first
    assert "second" not in first


def test_limit_that_was_lowered_lets_none_in() -> None:
    held = [Holding(-1234, f"number-{number}", WEB.endpoint, f"{number}" * 64) for number in range(3)]

    assert conflict(Register(held, per_endpoint=TWO), NEW)[0] == "endpoint_has_certificate"


def test_very_same_certificate_is_called_so_however_its_alias_is_shown() -> None:
    again = Holding(-1234, "web", "HTTPS://WEB.EXAMPLE:443".lower(), "A".lower() * 64, alias="WEB")

    assert "This very certificate" in _detail(Register([WEB], per_endpoint=ONE), again)
    assert "Another certificate" in _detail(Register([WEB], per_endpoint=ONE), NEW)


def test_only_the_super_tenants_aliases_are_those_of_other_tenants() -> None:
    register = Register([], per_endpoint={-2000: None, 8: None}, tenants={7})

    register.add(Holding(-2000, "web_7", WEB.endpoint, "a" * 64))
    register.add(Holding(8, "web_7", WEB.endpoint, "a" * 64))


def _lower_and_higher(value: str) -> list[str]:
    return [value.replace("web", "abc"), value.replace("web", "xyz")]


@pytest.mark.parametrize("elsewhere", _lower_and_higher(WEB.endpoint))
def test_change_is_for_its_endpoint_whichever_sorts_first(elsewhere: str) -> None:
    moved = Holding(-1234, "web", elsewhere, "c" * 64)
    beside = Holding(-1234, "web.next", elsewhere, NEXT.fingerprint_sha256, rotates="web")

    assert code(lambda: Register([moved], per_endpoint=ONE).replace(NEW)) == "certificate_changed"
    assert code(lambda: Register([moved], per_endpoint=ONE).add(NEXT)) == "certificate_changed"
    assert code(lambda: Register([moved, beside], per_endpoint=ONE).finish(NEW, successor="web.next")) == (
        "certificate_changed"
    )


@pytest.mark.parametrize("fingerprint", ["0" * 64, "f" * 64])
def test_change_is_for_its_certificate_whichever_sorts_first(fingerprint: str) -> None:
    held = [WEB, NEXT, Holding(-1234, "other", "https://other.example:443", fingerprint)]
    replaced = Holding(-1234, "web.next", WEB.endpoint, fingerprint, rotates="web")
    same = Holding(-1234, "web", WEB.endpoint, fingerprint)

    assert code(lambda: Register([WEB, replaced], per_endpoint=ONE).finish(NEW, successor="web.next")) == (
        "certificate_changed"
    )
    assert code(lambda: Register([WEB, held[2]], per_endpoint=ONE).replace(same)) == "certificate_exists"
    with pytest.raises(PreconditionFailed):
        Register([WEB], per_endpoint=ONE).replace(NEW, if_match=fingerprint)


def test_what_was_read_again_is_the_same() -> None:
    """Every text of a request is another object than the one that is held."""
    web, endpoint, old, new = "WEB".lower(), WEB.endpoint.upper().lower(), "A".lower() * 64, "B".lower() * 64
    register = Register([WEB, replace(NEXT, rotates=web)], per_endpoint=ONE)

    assert code(lambda: register.delete(-1234, web)) == "rotation_under_way"
    register.finish(Holding(-1234, web, endpoint, new), successor=f"{web}.next")
    register.replace(Holding(-1234, web, endpoint, "B".lower() * 64), if_match="B".lower() * 64)
    register.replace(Holding(-1234, web, endpoint, old))
    register.add(Holding(-1234, f"{web}.next", endpoint, new, rotates=web))
    register.cancel(-1234, f"{web}.next", rotates="WEB".lower())

    assert register.held(-1234, "web") == WEB


def test_longest_alias_that_can_be_rotated_is_held_while_it_is() -> None:
    long = Holding(-1234, "a" * 250, WEB.endpoint, "a" * 64)
    beside = Holding(-1234, "a" * 250 + ".next", WEB.endpoint, "b" * 64, rotates="a" * 250)

    assert code(lambda: Register([long, beside], per_endpoint=ONE).delete(-1234, "a" * 250)) == "rotation_under_way"
