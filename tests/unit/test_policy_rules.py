"""Every rule at its borders: of one certificate, all rules that apply, not only the first that would refuse it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.certificates import authority, issued
from trustcast.domain.certificate import Certificate
from trustcast.domain.policy import Policy
from trustcast.domain.policy_case import Case
from trustcast.domain.policy_rules import REFUSALS, WARNINGS

SERVER = Certificate.parse(issued(authority()).der)
CA = Certificate.parse(authority().der)
NOW = SERVER.not_before + timedelta(days=1)
YEARS = timedelta(days=398)


def _applying(
    certificate: Certificate,
    *,
    policy: Policy | None = None,
    is_for_endpoint: bool = True,
    at: datetime = NOW,
    ca: bool = False,
    activate_at: datetime | None = None,
) -> set[str]:
    case = Case(policy or Policy(), certificate, is_for_endpoint, at, ca, False, activate_at)
    return {rule.code for rule in (*REFUSALS, *WARNINGS) if rule.applies(case)}


def _as_it_is_read(text: str) -> str:
    """An equal text, but another object than any that stands in the program."""
    read: str = json.loads(json.dumps(text))
    return read


def _with_key(kind: str, bits: int, exponent: int | None = None, curve: str | None = None) -> Certificate:
    curve = curve and _as_it_is_read(curve)
    key = replace(SERVER.key, kind=_as_it_is_read(kind), bits=bits, exponent=exponent, curve=curve)
    return replace(SERVER, key=key)


def _signed(certificate: Certificate, name: str) -> Certificate:
    return replace(certificate, signature_hash=_as_it_is_read(name))


def test_no_rule_applies_to_a_sound_certificate_of_a_server() -> None:
    assert _applying(SERVER) == set()


@pytest.mark.parametrize(
    ("bits", "codes"),
    [
        (1023, {"key_size"}),
        (1024, {"key_size", "key_short_accepted"}),
        (2047, {"key_size", "key_short_accepted"}),
        (2048, {"key_rsa_short"}),
        (2049, {"key_rsa_short"}),
        (3071, {"key_rsa_short"}),
        (3072, set()),
        (4096, set()),
        (8191, set()),
        (8192, set()),
        (8193, {"key_size"}),
    ],
)
def test_rsa_key_is_judged_by_its_length(bits: int, codes: set[str]) -> None:
    assert _applying(_with_key("rsa", bits, 65537)) == codes
    assert _applying(_with_key("rsa", bits, 65537), policy=Policy(allow_short_keys=True)) == codes - (
        {"key_size"} if 1024 <= bits < 2048 else set()
    )


@pytest.mark.parametrize(
    ("exponent", "bad"),
    [
        (3, True),
        (65535, True),
        (65536, True),
        (65537, False),
        (65538, True),
        (65540, True),
        (65541, False),
        (2**63 + 1, False),
        (2**64 - 1, False),
        (2**64, True),
        (2**64 + 1, True),
    ],
)
def test_exponent_is_odd_and_from_65537_to_64_bits(exponent: int, *, bad: bool) -> None:
    assert _applying(_with_key("rsa", 4096, exponent)) == ({"key_exponent"} if bad else set())


@pytest.mark.parametrize(
    ("kind", "curve", "known"),
    [
        ("ec", "secp256r1", True),
        ("ec", "secp384r1", True),
        ("ec", "secp521r1", True),
        ("ed25519", None, True),
        ("ec", "secp256k1", False),
        ("ec", None, False),
        ("dsa", None, False),
        ("other", None, False),
        ("sm2", "secp256r1", False),
    ],
)
@pytest.mark.parametrize("bits", [0, 256, 1024, 2048])
def test_lengths_of_rsa_are_no_rule_for_other_keys(kind: str, curve: str | None, *, known: bool, bits: int) -> None:
    assert _applying(_with_key(kind, bits, None, curve)) == (set() if known else {"key_unsupported"})


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("md2", {"signature_weak", "signature_weak_accepted"}),
        ("md5", {"signature_weak", "signature_weak_accepted"}),
        ("sha1", {"signature_weak", "signature_weak_accepted"}),
        ("unknown", {"signature_unsupported"}),
        ("sha256", set()),
        ("sha3-256", set()),
        ("whirlpool", set()),
        ("none", set()),
    ],
)
def test_signature_is_judged_by_its_hash(name: str, codes: set[str]) -> None:
    assert _applying(_signed(SERVER, name)) == codes


@pytest.mark.parametrize("name", ["md2", "md5", "sha1"])
def test_only_what_vouches_for_itself_and_for_others_is_a_root(name: str) -> None:
    weak, told = {"signature_weak", "signature_weak_accepted"}, {"root_signature_weak"}
    of_version_1 = replace(SERVER, version=1)

    assert _applying(_signed(SERVER, name)) == weak
    assert _applying(_signed(replace(SERVER, self_signed=True), name)) == weak
    assert _applying(_signed(replace(CA, self_signed=False), name), ca=True) >= weak
    assert _applying(_signed(CA, name), is_for_endpoint=False, ca=True) == told | {"ca_without_name_constraints"}
    assert _applying(_signed(of_version_1, name)) == weak | {"certificate_v1", "v1_accepted"}
    assert _applying(_signed(replace(of_version_1, self_signed=True), name)) == told | {"certificate_v1", "v1_accepted"}


def test_self_signature_that_cannot_be_verified_is_none_that_is_wrong() -> None:
    assert _applying(replace(SERVER, self_signature_valid=None)) == set()
    assert _applying(replace(SERVER, self_signature_valid=True)) == set()
    assert _applying(replace(SERVER, self_signature_valid=False)) == {"self_signature_invalid"}


def test_certificate_may_be_valid_for_an_instant() -> None:
    brief = replace(SERVER, not_before=NOW, not_after=NOW)

    assert _applying(brief) == {"expires_soon"}
    assert _applying(replace(brief, not_before=NOW + timedelta(seconds=1))) == {"validity_reversed", "expires_soon"}


@pytest.mark.parametrize(
    ("left", "codes"),
    [
        (timedelta(days=31), set()),
        (timedelta(days=30, seconds=1), set()),
        (timedelta(days=30), {"expires_soon"}),
        (timedelta(0), {"expires_soon"}),
        (timedelta(seconds=-1), {"certificate_expired", "expired"}),
        (timedelta(days=-2), {"certificate_expired", "expired"}),
    ],
)
def test_end_is_told_of_thirty_days_ahead(left: timedelta, codes: set[str]) -> None:
    began = NOW - timedelta(days=90)

    assert _applying(replace(SERVER, not_before=began, not_after=NOW + left)) == codes


@pytest.mark.parametrize(
    ("ahead", "codes"),
    [
        (timedelta(minutes=5), set()),
        (timedelta(minutes=5, seconds=1), {"certificate_not_yet_valid", "activate_at_not_allowed"}),
    ],
)
def test_clocks_may_be_five_minutes_apart(ahead: timedelta, codes: set[str]) -> None:
    assert _applying(replace(SERVER, not_before=NOW + ahead)) == codes


@pytest.mark.parametrize(
    ("ahead", "codes"),
    [
        (timedelta(days=-1), {"activate_at_too_early"}),
        (timedelta(0), {"activate_at_too_early"}),
        (timedelta(days=2, seconds=-1), {"activates_later", "activate_at_too_early"}),
        (timedelta(days=2), {"activates_later"}),
        (timedelta(days=366), {"activates_later"}),
        (timedelta(days=366, seconds=1), {"activates_later", "activate_at_too_late"}),
    ],
)
def test_activation_is_from_the_beginning_on_and_within_a_year(ahead: timedelta, codes: set[str]) -> None:
    planned = replace(SERVER, not_before=NOW + timedelta(days=2), not_after=NOW + timedelta(days=400))

    assert _applying(planned, policy=Policy(allow_not_yet_valid=True), activate_at=NOW + ahead) == codes


def test_longest_leaf_is_one_of_398_days() -> None:
    assert _applying(replace(SERVER, not_after=SERVER.not_before + YEARS)) == set()
    longer = replace(SERVER, not_after=SERVER.not_before + YEARS + timedelta(seconds=1))
    assert _applying(longer) == {"validity_long"}


def test_what_is_no_ca_is_a_servers_own_whatever_the_request_says() -> None:
    odd = replace(SERVER, dns_names=(), names=(), not_after=SERVER.not_before + 2 * YEARS)
    told = {"no_alternative_name", "name_mismatch", "validity_long"}

    assert _applying(odd, is_for_endpoint=False) == told
    assert _applying(odd, is_for_endpoint=False, ca=True) == told


def test_ca_that_is_meant_as_one_need_not_be_named_like_the_endpoint() -> None:
    lasting = replace(CA, not_after=CA.not_before + 2 * YEARS)
    told = {"no_alternative_name", "name_mismatch", "validity_long"}

    assert _applying(lasting, is_for_endpoint=False, ca=True) == {"ca_without_name_constraints"}
    assert _applying(lasting, is_for_endpoint=False) == told | {"ca_not_allowed", "ca_without_name_constraints"}


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        ({"key_cert_sign": None}, set()),
        ({"key_cert_sign": True}, set()),
        ({"key_cert_sign": False}, {"ca_without_cert_sign"}),
        ({"extended_key_usages": frozenset({"1.3.6.1.5.5.7.3.2"})}, set()),
    ],
)
def test_only_a_ca_has_to_sign_certificates(facts: dict[str, object], codes: set[str]) -> None:
    constrained = replace(CA, has_name_constraints=True, **facts)  # type: ignore[arg-type]

    assert _applying(constrained, is_for_endpoint=False, ca=True) == codes
    assert _applying(replace(SERVER, key_cert_sign=facts.get("key_cert_sign"))) == set()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uses", "codes"),
    [
        (None, set()),
        ({"1.3.6.1.5.5.7.3.1"}, set()),
        ({"2.5.29.37.0"}, set()),
        ({"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}, set()),
        ({"1.3.6.1.5.5.7.3.2"}, {"not_for_servers"}),
        (set(), {"not_for_servers"}),
    ],
)
def test_server_is_one_by_its_purpose_or_without_any(uses: set[str] | None, codes: set[str]) -> None:
    named = None if uses is None else frozenset(uses)

    assert _applying(replace(SERVER, extended_key_usages=named)) == codes


@pytest.mark.parametrize("ca", [False, True])
@pytest.mark.parametrize("is_for_endpoint", [False, True])
@pytest.mark.parametrize("self_signed", [False, True])
@pytest.mark.parametrize("policy", [Policy(), Policy(allow_ca=False), Policy(allow_server_ca=False)])
def test_ca_is_one_that_is_meant_or_one_that_openssl_made_of_a_server(
    policy: Policy, *, self_signed: bool, is_for_endpoint: bool, ca: bool
) -> None:
    one = replace(CA, self_signed=self_signed, has_name_constraints=True, dns_names=("backend.example",))
    is_server, is_mismatch = self_signed and is_for_endpoint, not (ca or is_for_endpoint)
    expected = {
        "ca_matches_endpoint": is_server,
        "server_ca_forbidden": is_server and not policy.allow_server_ca,
        "ca_not_allowed": not is_server and not ca,
        "ca_forbidden": not policy.allow_ca and (ca or not is_server),
        "name_mismatch": is_mismatch,
    }

    assert _applying(one, policy=policy, is_for_endpoint=is_for_endpoint, ca=ca) == {
        code for code, applies in expected.items() if applies
    }


@pytest.mark.parametrize("names", [(("backend.example",), ()), ((), ("10.0.0.1",))])
def test_address_is_an_alternative_name_as_well(names: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    dns_names, addresses = names

    assert _applying(replace(SERVER, dns_names=dns_names, ip_addresses=addresses)) == set()
