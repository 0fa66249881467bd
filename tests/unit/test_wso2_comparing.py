"""What is there already is left alone, and what stands in the way is said before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.certificates import Made, self_signed
from trustcast.domain.certificate import Certificate
from trustcast_cli.wso2.candidates import Candidate
from trustcast_cli.wso2.comparing import Held, compared
from trustcast_cli.wso2.report import Line, Outcome, Problem, Report

A, B = self_signed("a.example"), self_signed("b.example")
SUPER = -1234


def candidate(
    alias: str, made: Made = A, *, host: str = "a.example", tenant_id: int = SUPER, refusal: Problem | None = None
) -> Candidate:
    certificate = Certificate.parse(made.der)
    line = Line(
        tenant_id=tenant_id,
        tenant="carbon.super",
        alias=alias,
        endpoint=f"https://{host}",
        outcome=Outcome.IMPORTED,
        fingerprint_sha256=certificate.fingerprint_sha256,
    )
    return Candidate(line, alias, f"https://{host}:443", certificate, ca=False, expired=False, refusal=refusal)


def held(alias: str, made: Made = A, host: str = "a.example") -> Held:
    return Held(alias, f"https://{host}:443", made.fingerprint_sha256)


def outcomes(*waiting: Candidate, there: Sequence[Held] = ()) -> list[str]:
    """`to send`, or outcome and code."""
    found = compared(waiting, {SUPER: there})
    return [
        "to send"
        if isinstance(one, Candidate)
        else " ".join([one.outcome, *(problem.code for problem in one.problems)])
        for one in found
    ]


def warnings(*waiting: Candidate, there: Sequence[Held] = ()) -> list[list[str]]:
    lines = (one.line if isinstance(one, Candidate) else one for one in compared(waiting, {SUPER: there}))
    return [[warning.code for warning in line.warnings] for line in lines]


def test_what_is_not_there_is_to_be_sent() -> None:
    assert outcomes(candidate("a"), there=[held("b", B)]) == ["to send"]


def test_alias_and_certificate_together_are_there_already() -> None:
    assert outcomes(candidate("Orders"), there=[held("orders")]) == ["present"]


def test_what_is_there_stays_there_also_when_it_could_not_come_today() -> None:
    expired = Problem("certificate_expired", "It has expired.")

    assert outcomes(candidate("a", refusal=expired), there=[held("a")]) == ["present"]
    assert outcomes(candidate("a", refusal=expired)) == ["refused certificate_expired"]


def test_another_certificate_under_the_alias_is_a_conflict() -> None:
    assert outcomes(candidate("a"), there=[held("a", B)]) == ["conflict alias_exists"]


def test_the_same_certificate_under_another_alias_is_a_conflict() -> None:
    assert outcomes(candidate("a"), there=[held("b")]) == ["conflict certificate_exists"]
    assert outcomes(candidate("a"), candidate("b")) == ["to send", "conflict certificate_exists"]


def test_other_tenants_certificates_are_nobody_elses_business() -> None:
    assert outcomes(candidate("a", tenant_id=3), candidate("a"), there=[held("b", B)]) == ["to send", "to send"]


def test_another_endpoint_is_said_and_left() -> None:
    assert warnings(candidate("a"), there=[held("a", host="elsewhere.example")]) == [["endpoint_differs"]]


def test_an_endpoint_with_several_certificates_names_the_setting() -> None:
    found = compared([candidate("a"), candidate("b", B)], {SUPER: [held("c", self_signed("c.example"))]})

    line = found[0].line if isinstance(found[0], Candidate) else found[0]
    assert [warning.code for warning in line.warnings] == ["endpoint_shared"]
    assert "TRUSTCAST_CERTIFICATES_PER_ENDPOINT=3 or more" in line.warnings[0].detail


def test_what_is_refused_takes_no_place_at_its_endpoint() -> None:
    refusal = Problem("certificate_expired", "It has expired.")

    assert warnings(candidate("a"), candidate("b", B, refusal=refusal)) == [[], []]


def test_the_exit_status_tells_whether_anything_is_left_to_do() -> None:
    line = candidate("a").line
    good = Report(dry_run=False, lines=(line, replace(line, outcome=Outcome.PRESENT)), truststore_only=("x",))
    bad = Report(dry_run=False, lines=(line, replace(line, outcome=Outcome.MISSING)))

    assert (good.exit_status, bad.exit_status) == (0, 3)
    assert good.as_json()["counts"]["truststore_only"] == 1
