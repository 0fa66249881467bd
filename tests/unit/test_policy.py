"""Every rule of the policy, by the certificate that breaks it and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from tests.certificates import Made, authority, ec_key, issued, rsa_key, self_signed
from trustcast.domain import policy, policy_rules
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Policy

ENDPOINT = Endpoint.parse("https://backend.example")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEGIN = NOW - timedelta(days=10)
SERVER = Certificate.parse(self_signed("backend.example", not_before=BEGIN).der)
CA = Certificate.parse(authority(not_before=BEGIN).der)
LEAF = Certificate.parse(issued(authority(), not_before=BEGIN).der)
OPENSSL_DEFAULT = Certificate.parse(self_signed("backend.example", ca=True, not_before=BEGIN).der)


def _warnings(
    certificate: Certificate, rules: Policy | None = None, *, at: datetime = NOW, ca: bool = False
) -> set[str]:
    return {warning.code for warning in (rules or Policy()).check(certificate, endpoint=ENDPOINT, at=at, ca=ca)}


def _refusal(certificate: Certificate, rules: Policy | None = None, *, at: datetime = NOW, ca: bool = False) -> str:
    with pytest.raises(Rejected) as refused:
        (rules or Policy()).check(certificate, endpoint=ENDPOINT, at=at, ca=ca)
    assert refused.value.field == "certificate"
    assert refused.value.detail == policy.REASONS[refused.value.code]
    return refused.value.code


def _parsed(made: Made) -> Certificate:
    return Certificate.parse(made.der)


def _with_key(**facts: object) -> Certificate:
    return replace(LEAF, key=replace(LEAF.key, **facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "certificate",
    [
        SERVER,
        LEAF,
        _parsed(self_signed(key=ed25519.Ed25519PrivateKey.generate(), not_before=BEGIN)),
        _parsed(self_signed(key=ec_key(ec.SECP384R1()), not_before=BEGIN)),
        _parsed(self_signed(key=ec_key(ec.SECP521R1()), not_before=BEGIN)),
        _parsed(self_signed(key=rsa_key(3072), not_before=BEGIN)),
        _parsed(self_signed(ca=None, not_before=BEGIN)),
    ],
    ids=["self-signed", "issued", "Ed25519", "P-384", "P-521", "RSA 3072", "no basic constraints"],
)
def test_sound_server_certificate_is_accepted_without_a_word(certificate: Certificate) -> None:
    assert _warnings(certificate) == set()


def test_expired_certificate_is_rejected() -> None:
    assert _refusal(SERVER, at=SERVER.not_after + timedelta(seconds=1)) == "certificate_expired"


def test_expired_certificate_of_an_installation_that_is_taken_over_is_accepted_with_a_warning() -> None:
    at = SERVER.not_after + timedelta(seconds=1)

    warned = Policy().check(SERVER, endpoint=ENDPOINT, at=at, ca=False, accept_expired=True)

    assert {one.code for one in warned} == {"expired"}


def test_what_may_have_expired_may_not_have_anything_else() -> None:
    weak = _parsed(self_signed("backend.example", key=rsa_key(1024), not_before=BEGIN, days=1))

    with pytest.raises(Rejected) as refused:
        Policy().check(weak, endpoint=ENDPOINT, at=NOW, ca=False, accept_expired=True)

    assert refused.value.code == "key_size"


def test_certificate_is_valid_until_the_last_second() -> None:
    assert _warnings(SERVER, at=SERVER.not_after) == {"expires_soon"}


def test_certificate_that_begins_later_than_five_minutes_from_now_is_rejected() -> None:
    assert _refusal(SERVER, at=BEGIN - timedelta(minutes=5, seconds=1)) == "certificate_not_yet_valid"


def test_clock_may_be_five_minutes_off() -> None:
    assert _warnings(SERVER, at=BEGIN - timedelta(minutes=5)) == set()


AHEAD = replace(SERVER, not_before=NOW + timedelta(days=2), not_after=NOW + timedelta(days=92))
EARLY = Policy(allow_not_yet_valid=True)


def _activated(
    certificate: Certificate, days: float, rules: Policy = EARLY, *, accept_expired: bool = False
) -> set[str]:
    """The warnings of a certificate that is to be trusted in so many days."""
    activate_at = NOW + timedelta(days=days)
    warned = rules.check(
        certificate, endpoint=ENDPOINT, at=NOW, ca=False, accept_expired=accept_expired, activate_at=activate_at
    )
    return {one.code for one in warned}


def _not_activated(certificate: Certificate, days: float, rules: Policy = EARLY) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as refused:
        _activated(certificate, days, rules)
    assert refused.value.detail == policy.REASONS[refused.value.code]
    return refused.value.code, refused.value.field


def test_certificate_that_is_not_valid_yet_may_wait_for_its_time() -> None:
    assert _activated(AHEAD, 2) == {"activates_later"}


def test_who_names_no_time_uploads_no_certificate_ahead() -> None:
    assert _refusal(AHEAD, EARLY) == "certificate_not_yet_valid"


def test_only_a_policy_that_allows_it_takes_certificates_ahead() -> None:
    assert _not_activated(AHEAD, 2, Policy()) == ("activate_at_not_allowed", "activate_at")


@pytest.mark.parametrize("days", [-1, 0, 1.9999])
def test_nothing_is_trusted_before_it_is_valid(days: float) -> None:
    assert _not_activated(AHEAD, days) == ("activate_at_too_early", "activate_at")


def test_what_will_have_expired_by_then_is_rejected() -> None:
    assert _not_activated(AHEAD, 93) == ("certificate_expired", "certificate")


def test_expired_certificate_that_is_taken_over_may_be_for_later() -> None:
    assert _activated(SERVER, 93, accept_expired=True) == {"activates_later", "expired"}


def test_how_long_it_lasts_is_counted_from_then() -> None:
    assert _activated(AHEAD, 62) == {"activates_later", "expires_soon"}


def test_switch_of_valid_certificates_is_planned_without_anybodys_leave() -> None:
    assert _activated(SERVER, 3, Policy()) == {"activates_later"}


def test_time_that_has_come_is_no_other_than_now() -> None:
    assert _activated(SERVER, -3, Policy()) == set()


def test_a_year_ahead_is_the_farthest() -> None:
    lasting = replace(SERVER, not_after=BEGIN + timedelta(days=398))

    assert _activated(lasting, 366) == {"activates_later", "expires_soon"}
    assert _not_activated(lasting, 366.001) == ("activate_at_too_late", "activate_at")


def test_version_1_is_rejected() -> None:
    assert _refusal(replace(SERVER, version=1)) == "certificate_v1"


def test_setting_accepts_version_1_with_a_warning() -> None:
    assert _warnings(replace(SERVER, version=1), Policy(allow_v1=True)) == {"v1_accepted"}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"kind": "rsa", "bits": 1024, "curve": None, "exponent": 65537}, "key_size"),
        ({"kind": "rsa", "bits": 2047, "curve": None, "exponent": 65537}, "key_size"),
        ({"kind": "rsa", "bits": 8193, "curve": None, "exponent": 65537}, "key_size"),
        ({"kind": "rsa", "bits": 2048, "curve": None, "exponent": 3}, "key_exponent"),
        ({"kind": "rsa", "bits": 2048, "curve": None, "exponent": 65538}, "key_exponent"),
        ({"kind": "rsa", "bits": 2048, "curve": None, "exponent": 2**64 + 1}, "key_exponent"),
        ({"kind": "dsa", "bits": 2048, "curve": None}, "key_unsupported"),
        ({"kind": "other", "bits": 0, "curve": None}, "key_unsupported"),
        ({"kind": "ec", "bits": 192, "curve": "secp192r1"}, "key_unsupported"),
        ({"kind": "ec", "bits": 256, "curve": "secp256k1"}, "key_unsupported"),
    ],
)
def test_weak_or_unusual_key_is_rejected(facts: dict[str, object], code: str) -> None:
    assert _refusal(_with_key(**facts)) == code


def test_real_certificate_with_a_short_key_is_rejected() -> None:
    assert _refusal(_parsed(self_signed(key=rsa_key(1024), not_before=BEGIN))) == "key_size"


def test_real_certificate_on_an_unusual_curve_is_rejected() -> None:
    assert _refusal(_parsed(self_signed(key=ec_key(ec.SECP256K1()), not_before=BEGIN))) == "key_unsupported"


@pytest.mark.parametrize("bits", [1024, 2047])
def test_setting_accepts_short_keys_with_a_loud_warning(bits: int) -> None:
    short = _with_key(kind="rsa", bits=bits, curve=None, exponent=65537)

    assert _warnings(short, Policy(allow_short_keys=True)) == {"key_short_accepted"}


@pytest.mark.parametrize("bits", [512, 1023, 8193])
def test_no_setting_accepts_what_is_shorter_still_or_too_long(bits: int) -> None:
    assert _refusal(_with_key(kind="rsa", bits=bits, curve=None, exponent=65537), Policy(allow_short_keys=True)) == (
        "key_size"
    )


def test_short_key_is_accepted_with_no_other_weakness_of_it() -> None:
    odd = _with_key(kind="rsa", bits=1024, curve=None, exponent=3)

    assert _refusal(odd, Policy(allow_short_keys=True)) == "key_exponent"


@pytest.mark.parametrize("name", ["md5", "sha1"])
def test_setting_accepts_weak_signatures_with_a_loud_warning(name: str) -> None:
    assert _warnings(replace(LEAF, signature_hash=name), Policy(allow_weak_signatures=True)) == {
        "signature_weak_accepted"
    }


def test_no_setting_accepts_md2() -> None:
    assert _refusal(replace(LEAF, signature_hash="md2"), Policy(allow_weak_signatures=True)) == "signature_weak"


def test_weak_signature_of_a_root_needs_no_setting_and_is_not_called_allowed() -> None:
    root = replace(CA, signature_hash="md5")

    assert _warnings(root, Policy(allow_weak_signatures=True), ca=True) == _warnings(root, ca=True)


@pytest.mark.parametrize("name", ["md2", "md5", "sha1"])
def test_weak_signature_is_rejected(name: str) -> None:
    assert _refusal(replace(LEAF, signature_hash=name)) == "signature_weak"
    assert _refusal(replace(SERVER, signature_hash=name)) == "signature_weak"


def test_weak_signature_of_a_root_proves_nothing_and_is_a_warning() -> None:
    assert "root_signature_weak" in _warnings(replace(CA, signature_hash="sha1"), ca=True)


def test_intermediate_ca_is_no_root_and_its_signature_counts() -> None:
    intermediate = _parsed(issued(authority(), ca=True, not_before=BEGIN))

    assert _refusal(replace(intermediate, signature_hash="sha1"), ca=True) == "signature_weak"


def test_unknown_signature_algorithm_is_rejected() -> None:
    assert _refusal(replace(LEAF, signature_hash="unknown")) == "signature_unsupported"


def test_self_signature_that_does_not_verify_is_rejected() -> None:
    made = self_signed("backend.example", not_before=BEGIN)

    changed = Certificate.parse(made.der.replace(b"backend.example", b"bAckend.example"))

    assert _refusal(changed) == "self_signature_invalid"


def test_end_before_the_beginning_is_rejected() -> None:
    assert _refusal(replace(SERVER, not_after=BEGIN - timedelta(days=1))) == "validity_reversed"


def test_critical_extension_that_nobody_understands_is_rejected() -> None:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

    assert (
        _refusal(_parsed(self_signed(extensions=[(unknown, True)], not_before=BEGIN))) == "critical_extension_unknown"
    )


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        pytest.param(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, "3013820f6261636b656e642e6578616d706c658100", id="e-mail"),
        pytest.param(ExtensionOID.INHIBIT_ANY_POLICY, "02050100000000", id="number"),
        pytest.param(ExtensionOID.BASIC_CONSTRAINTS, "300a0101ff02050080000000", id="path length"),
    ],
)
def test_critical_extension_that_a_jvm_refuses_with_the_whole_truststore_is_rejected(
    oid: ObjectIdentifier, value: str
) -> None:
    odd = x509.UnrecognizedExtension(oid, bytes.fromhex(value))
    made = self_signed(sans=(), ca=None, extensions=[(odd, True)], not_before=BEGIN)

    assert _refusal(_parsed(made)) == "critical_extension_unknown"


def test_precertificate_is_rejected() -> None:
    poisoned = _parsed(self_signed(extensions=[(x509.PrecertPoison(), True)], not_before=BEGIN))

    assert _refusal(poisoned) == "critical_extension_unknown"


def test_ca_that_may_not_sign_certificates_is_rejected() -> None:
    assert _refusal(replace(CA, key_cert_sign=False), ca=True) == "ca_without_cert_sign"


def test_client_certificate_is_rejected() -> None:
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])

    assert _refusal(_parsed(self_signed(extensions=[(client, False)], not_before=BEGIN))) == "not_for_servers"


@pytest.mark.parametrize("use", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_server_certificate_with_its_purpose_is_accepted(use: ObjectIdentifier) -> None:
    purpose = x509.ExtendedKeyUsage([use])

    assert _warnings(_parsed(self_signed(extensions=[(purpose, False)], not_before=BEGIN))) == set()


def test_purpose_of_a_ca_does_not_matter() -> None:
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    other = _parsed(authority(extensions=[(purpose, False)], not_before=BEGIN))

    assert _warnings(other, ca=True) == {"ca_without_name_constraints"}


def test_ca_is_rejected_unless_the_request_means_one() -> None:
    assert _refusal(CA) == "ca_not_allowed"
    assert _warnings(CA, ca=True) == {"ca_without_name_constraints"}


def test_ca_with_name_constraints_is_accepted_without_a_word() -> None:
    assert _warnings(replace(CA, has_name_constraints=True), ca=True) == set()


def test_what_openssl_makes_by_default_is_accepted_with_a_loud_warning() -> None:
    assert _warnings(OPENSSL_DEFAULT) == {"ca_matches_endpoint"}


def test_setting_rejects_what_openssl_makes_by_default() -> None:
    assert _refusal(OPENSSL_DEFAULT, Policy(allow_server_ca=False)) == "server_ca_forbidden"


def test_ca_true_is_no_way_around_the_setting_and_the_warning() -> None:
    assert _refusal(OPENSSL_DEFAULT, Policy(allow_server_ca=False), ca=True) == "server_ca_forbidden"
    assert "ca_matches_endpoint" in _warnings(OPENSSL_DEFAULT, ca=True)


def test_setting_rejects_every_ca_that_is_meant_as_one() -> None:
    forbids = Policy(allow_ca=False)

    assert _refusal(CA, forbids, ca=True) == "ca_forbidden"
    assert _refusal(CA, forbids) == "ca_forbidden"
    assert _refusal(OPENSSL_DEFAULT, forbids, ca=True) == "ca_forbidden"
    assert _warnings(OPENSSL_DEFAULT, forbids) == {"ca_matches_endpoint"}


def test_ca_named_like_the_endpoint_but_signed_by_another_is_rejected() -> None:
    other = issued(authority(), "backend.example", ca=True, not_before=BEGIN)

    assert _refusal(_parsed(other)) == "ca_not_allowed"


def test_self_signed_ca_for_another_host_is_rejected() -> None:
    assert _refusal(_parsed(self_signed("other.example", ca=True, not_before=BEGIN))) == "ca_not_allowed"


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (replace(SERVER, not_after=NOW + timedelta(days=30)), "expires_soon"),
        (replace(SERVER, not_after=BEGIN + timedelta(days=399)), "validity_long"),
        (_parsed(self_signed(key=rsa_key(2048), not_before=BEGIN)), "key_rsa_short"),
        (_parsed(self_signed(sans=["backend.example", "*.example.org"], not_before=BEGIN)), "wildcard"),
        (_parsed(self_signed(sans=[], not_before=BEGIN)), "no_alternative_name"),
        (_parsed(self_signed("other.example", not_before=BEGIN)), "name_mismatch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weakness_that_does_not_forbid_trust_is_a_warning(certificate: Certificate, code: str) -> None:
    assert _warnings(certificate) == {code}


def test_common_name_does_not_count_beside_an_alternative_name() -> None:
    made = self_signed(sans=["other.example"], common_name="backend.example", not_before=BEGIN)

    assert _warnings(_parsed(made)) == {"name_mismatch"}


def test_common_name_that_does_not_match_is_told_too() -> None:
    other = _parsed(self_signed("other.example", sans=[], not_before=BEGIN))

    assert _warnings(other) == {"no_alternative_name", "name_mismatch"}


def test_of_several_reasons_the_most_fundamental_is_given_every_time() -> None:
    wrong = replace(
        _with_key(kind="rsa", bits=1024, curve=None, exponent=3), version=1, signature_hash="md5", is_ca=True
    )
    late = wrong.not_after + timedelta(days=1)

    assert {_refusal(wrong, at=late) for _ in range(5)} == {"certificate_v1"}
    assert _refusal(wrong, Policy(allow_v1=True), at=late) == "key_size"


def test_each_code_has_one_sentence_of_its_own() -> None:
    rules = (*policy_rules.REFUSALS, *policy_rules.WARNINGS, policy.KEY_REUSED)

    assert len({rule.code for rule in rules}) == len({rule.detail for rule in rules}) == len(rules)
    assert all(rule.detail.endswith(".") for rule in rules)


def _standing(*codes: str, at: datetime) -> list[str]:
    stored = [{"code": code, "detail": f"{code}, as it was told."} for code in codes]
    return [one.code for one in policy.standing_warnings(stored, not_after=SERVER.not_after, at=at)]


def test_warnings_of_a_trusted_certificate_follow_the_clock() -> None:
    end = SERVER.not_after

    assert _standing("wildcard", at=end - timedelta(days=31)) == ["wildcard"]
    assert _standing("wildcard", at=end - timedelta(days=30)) == ["expires_soon", "wildcard"]
    assert _standing("expires_soon", "wildcard", at=end) == ["expires_soon", "wildcard"]
    assert _standing("expires_soon", "wildcard", at=end + timedelta(seconds=1)) == ["expired", "wildcard"]


def test_warning_of_a_time_that_has_come_is_gone() -> None:
    assert _standing("activates_later", "key_reused", at=NOW) == ["key_reused"]


def test_warnings_that_nobody_knows_any_more_stay_as_they_were_told() -> None:
    stored = [{"code": "of_old", "detail": "As it was told."}]

    assert policy.standing_warnings(stored, not_after=SERVER.not_after, at=NOW) == (
        policy.Warning("of_old", "As it was told."),
    )


@pytest.mark.parametrize("count", [1, 2, 7, None])
def test_policy_survives_json(count: int | None) -> None:
    every = Policy(count, *[True] * 6)

    assert Policy().with_settings(json.loads(json.dumps(every.settings()))) == every
    assert every.with_settings(json.loads(json.dumps(Policy().settings()))) == Policy()


def test_endpoint_has_one_certificate_unless_a_tenant_may_have_more() -> None:
    assert Policy().certificates_per_endpoint == 1


def test_settings_that_are_not_understood_change_nothing() -> None:
    newer = {"allow_quantum": True, "allow_v1": 1, "allow_ca": "no", "certificates_per_endpoint": "few", "check": True}

    assert Policy().with_settings(newer) == Policy()
    assert Policy().with_settings({"certificates_per_endpoint": True}) == Policy()
    assert Policy().with_settings({"certificates_per_endpoint": 0}) == Policy()
    assert Policy().with_settings({"certificates_per_endpoint": -1}) == Policy()
    assert Policy().with_settings({"quota": 5, "check": "unlimited"}) == Policy()


def test_rejection_never_repeats_what_is_in_the_certificate() -> None:
    with pytest.raises(Rejected) as refused:
        Policy().check(_parsed(authority("Secret Name")), endpoint=ENDPOINT, at=NOW, ca=False)

    assert "Secret Name" not in str(refused.value)
    assert ENDPOINT.host not in str(refused.value)
