"""What Trustcast cannot take is said with what to do; what it can is ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from tests.certificates import Made, authority, rsa_key, self_signed
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import candidates
from trustcast_cli.wso2.candidates import Candidate, Judge
from trustcast_cli.wso2.matching import Match
from trustcast_cli.wso2.report import Line, Outcome, Problem
from trustcast_cli.wso2.rows import Row

MADE = self_signed("backend.example")
EXPIRED = self_signed("old.example", not_before=datetime(2020, 1, 1, tzinfo=UTC))
NOW = datetime.now(UTC)


def match(
    alias: str = "orders", made: Made | None = MADE, *, tenant_id: int = -1234, endpoint: str = "https://a.example/x"
) -> Match:
    row = Row(tenant_id, alias, endpoint)
    return Match(row, made.der, alias.lower()) if made else Match(row, None, missing="Nobody has it.")


def judged(
    *matches: Match, renames: Mapping[str, str] | None = None, accept_expired: bool = False
) -> list[Candidate | Line]:
    domains = {-1234: "carbon.super", 3: "three.example"}
    judge = Judge(domains=domains, renames=renames or {}, accept_expired=accept_expired, at=NOW)
    return judge.judged(matches)


def candidate(*matches: Match, renames: Mapping[str, str] | None = None, accept_expired: bool = False) -> Candidate:
    found = judged(*matches, renames=renames, accept_expired=accept_expired)[0]
    assert isinstance(found, Candidate)
    return found


def refused(*matches: Match) -> tuple[Outcome, list[str], str]:
    """Outcome, codes and the first advice of the last one."""
    line = judged(*matches)[-1]
    assert isinstance(line, Line)
    return line.outcome, [problem.code for problem in line.problems], line.problems[0].advice


def test_a_candidate_has_the_endpoints_normal_form_and_its_tenants_domain() -> None:
    found = candidate(match("Orders", tenant_id=3, endpoint="https://A.example/v1"))

    assert (found.alias, found.alias_key, found.endpoint) == ("Orders", "orders", "https://a.example:443")
    assert (found.line.tenant, found.line.endpoint) == ("three.example", "https://A.example/v1")
    assert (found.line.fingerprint_sha256, found.refusal) == (MADE.fingerprint_sha256, None)


def test_a_row_without_a_certificate_is_missing() -> None:
    assert refused(match(made=None)) == (Outcome.MISSING, ["certificate_missing"], "")


def test_a_certificate_in_doubt_is_a_conflict_with_what_to_do() -> None:
    doubt = Problem("alias_claimed_twice", "It may be another's.", "Ask.")

    found = refused(Match(Row(-1234, "orders", "https://a.example"), None, "orders", doubt=doubt))

    assert found == (Outcome.CONFLICT, ["alias_claimed_twice"], "Ask.")


@pytest.mark.parametrize(
    ("alias", "advice"),
    [
        ("my cert", "Add --rename 'my cert=my-cert'."),
        ("Zürich Büro", "Add --rename 'Zürich Büro=Zurich-Buro'."),
        ("_orders", "Add --rename '_orders=orders'."),
        ("***", "Add --rename '***=renamed'."),
    ],
)
def test_an_alias_that_trustcast_cannot_take_comes_with_a_suggestion(alias: str, advice: str) -> None:
    assert refused(match(alias)) == (Outcome.UNUSABLE, ["alias_invalid"], advice)


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("/orders/1.0", "endpoint_scheme"),
        ("", "endpoint_missing"),
        ("https://u:p@a.example", "endpoint_userinfo"),
    ],
)
def test_an_endpoint_that_trustcast_cannot_take_is_said(endpoint: str, code: str) -> None:
    assert refused(match(endpoint=endpoint))[:2] == (Outcome.UNUSABLE, [code])


@pytest.mark.parametrize("made", [MADE, None])
def test_an_http_endpoint_needs_no_certificate(made: Made | None) -> None:
    line = judged(match("my cert", made, endpoint="HTTP://a.example"))[0]

    assert isinstance(line, Line)
    assert (line.outcome, line.problems) == (Outcome.NOT_NEEDED, ())


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    assert refused(match("my cert", endpoint="/orders"))[1] == ["alias_invalid", "endpoint_scheme"]


def test_aliases_that_differ_in_case_only_are_one() -> None:
    outcome, codes, advice = refused(match("orders"), match("Orders"))

    assert (outcome, codes, advice) == (Outcome.UNUSABLE, ["alias_twice"], "Add --rename 'Orders=Orders-2'.")


def test_an_alias_that_is_another_tenants_on_gateways_is_reserved() -> None:
    advice = "Add --rename 'Orders_3=Orders_3-super'."

    assert refused(match("Orders_3")) == (Outcome.UNUSABLE, ["alias_reserved"], advice)
    assert isinstance(judged(match("Orders_4"))[0], Candidate)
    assert isinstance(judged(match("orders_3", tenant_id=3))[0], Candidate)


def test_two_tenants_may_have_the_same_alias() -> None:
    assert all(isinstance(one, Candidate) for one in judged(match("orders"), match("orders", tenant_id=3)))


def test_a_renamed_row_has_its_new_alias() -> None:
    renames = candidates.renames(["my=cert=my-cert"])

    found = candidate(match("my=cert"), renames=renames)

    assert (found.alias, found.line.alias, found.line.imported_as) == ("my-cert", "my=cert", "my-cert")


@pytest.mark.parametrize("option", ["orders", "=orders", "orders=", "orders=my cert"])
def test_a_rename_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(CannotRun, match="--rename"):
        candidates.renames([option])


def test_a_rename_of_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(CannotRun, match="no row with the alias 'ordres'"):
        judged(match("orders"), renames={"ordres": "x"})


def test_what_the_policy_refuses_says_its_code() -> None:
    weak = self_signed("weak.example", key=rsa_key(1024))

    refusal = candidate(match(made=weak)).refusal

    assert refusal is not None
    assert refusal.code == "key_size"


def test_an_expired_certificate_needs_the_option() -> None:
    refusal = candidate(match(made=EXPIRED)).refusal
    assert refusal is not None
    assert (refusal.code, refusal.advice) == (
        "certificate_expired",
        "Take it over all the same with --accept-expired.",
    )

    accepted = candidate(match(made=EXPIRED), accept_expired=True)
    assert (accepted.refusal, accepted.expired) == (None, True)
    assert "expired" in [warning.code for warning in accepted.line.warnings]
    assert not candidate(match(), accept_expired=True).expired


def test_a_ca_is_sent_as_one() -> None:
    found = candidate(match(made=authority()))

    assert (found.ca, found.refusal) == (True, None)
    assert "ca_without_name_constraints" in [warning.code for warning in found.line.warnings]


def test_a_server_that_is_a_ca_by_openssls_default_keeps_its_warning() -> None:
    found = candidate(match(made=self_signed("a.example", ca=True)))

    assert not found.ca
    assert "ca_matches_endpoint" in [warning.code for warning in found.line.warnings]


def test_what_is_no_certificate_is_refused() -> None:
    damaged = Match(Row(-1234, "orders", "https://a.example"), b"\x30\x82\x01\x00" + bytes(256), "orders")

    assert refused(damaged)[:2] == (Outcome.REFUSED, ["certificate_unreadable"])
