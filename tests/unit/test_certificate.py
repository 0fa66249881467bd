"""A certificate is read once and completely, or refused."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    ExtensionOID,
    NameOID,
    ObjectIdentifier,
)

from tests.certificates import Key, authority, ec_key, issued, rsa_key, self_signed
from trustcast.domain import certificate, certificate_file
from trustcast.domain import der as asn1
from trustcast.domain.certificate import Certificate
from trustcast.domain.errors import Rejected

WEB = x509.UniformResourceIdentifier("http://pki.example/ca")
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def test_certificate_tells_what_is_in_it() -> None:
    begin = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = self_signed("Backend.Example", sans=["Backend.Example", "10.0.0.1", "::1"], not_before=begin, serial=7)

    read = Certificate.parse(made.der)

    assert read.der == made.der
    assert read.fingerprint_sha256 == sha256(made.der).hexdigest()
    assert (read.subject, read.issuer) == ("CN=Backend.Example", "CN=Backend.Example")
    assert read.names == ("backend.example", "10.0.0.1", "::1")
    assert (read.not_before, read.not_after) == (begin, begin + timedelta(days=90))
    assert (read.serial, read.version, read.is_ca) == (7, 3, False)
    assert (read.self_signed, read.self_signature_valid, read.signature_hash) == (True, True, "sha256")


def test_certificate_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Certificate.parse(self_signed().der).serial = 1  # type: ignore[misc]


def test_common_name_stands_in_for_missing_names() -> None:
    read = Certificate.parse(self_signed(sans=[], common_name="Backend.example").der)

    assert (read.names, read.dns_names) == (("Backend.example",), ())
    assert read.is_for("backend.example")


@pytest.mark.parametrize(
    ("key", "kind", "bits", "curve"),
    [
        (rsa_key(), "rsa", 2048, None),
        (ec_key(), "ec", 256, "secp256r1"),
        (ec_key(ec.SECP521R1()), "ec", 521, "secp521r1"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519", 256, None),
    ],
    ids=["RSA", "P-256", "P-521", "Ed25519"],
)
def test_key_is_described(key: Key, kind: str, bits: int, curve: str | None) -> None:
    read = Certificate.parse(self_signed(key=key).der).key

    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert (read.kind, read.bits, read.curve) == (kind, bits, curve)
    assert read.fingerprint_sha256 == sha256(spki).hexdigest()


def test_signature_of_another_is_not_a_self_signature() -> None:
    read = Certificate.parse(issued(authority()).der)

    assert (read.self_signed, read.self_signature_valid) == (False, None)


def test_new_key_of_a_ca_signed_with_its_old_key_is_not_self_signed() -> None:
    old, key = authority(), ec_key()
    identifiers: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(old.key.public_key()), False),
    ]

    read = Certificate.parse(authority(issuer=old, key=key, extensions=identifiers).der)

    assert (read.subject, read.self_signed, read.self_signature_valid) == (read.issuer, False, None)


@pytest.mark.parametrize(
    ("authority_key", "subject_key", "own"),
    [
        (b"key", b"key", True),
        (b"kex", b"key", False),
        (b"kez", b"key", False),
        (None, b"key", True),
        (b"key", None, True),
        (None, None, True),
    ],
)
def test_key_identifiers_say_whether_it_signed_itself(
    authority_key: bytes | None, subject_key: bytes | None, own: bool
) -> None:
    identifiers: list[tuple[x509.ExtensionType, bool]] = [(x509.AuthorityKeyIdentifier(authority_key, [WEB], 1), False)]
    if subject_key is not None:
        identifiers.append((x509.SubjectKeyIdentifier(subject_key), False))

    assert Certificate.parse(authority(extensions=identifiers).der).self_signed is own


def test_changed_self_signed_certificate_does_not_verify() -> None:
    made = self_signed("backend.example")

    read = Certificate.parse(made.der.replace(b"backend.example", b"bAckend.example"))

    assert (read.self_signed, read.self_signature_valid) == (True, False)


def test_what_a_ca_says_of_itself_is_read() -> None:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.NameConstraints([x509.IPAddress(ip_network("10.0.0.0/8"))], None)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])

    read = Certificate.parse(
        authority(extensions=[(usage, True), (constraints, True), (purpose, False), (UNKNOWN, True)]).der
    )

    assert (read.is_ca, read.key_cert_sign, read.has_name_constraints) == (True, False, True)
    assert read.extended_key_usages == frozenset({"1.3.6.1.5.5.7.3.1"})
    assert read.unknown_critical == ("1.3.6.1.4.1.99999.1",)


def test_unknown_extension_that_is_not_critical_does_not_matter() -> None:
    assert Certificate.parse(self_signed(extensions=[(UNKNOWN, False)]).der).unknown_critical == ()


NOTICE = x509.PolicyInformation(ObjectIdentifier("1.2.3"), None)
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directory")]))


@pytest.mark.parametrize(
    "extension",
    [
        x509.SubjectAlternativeName([x509.DNSName("backend.example"), x509.RFC822Name("ca@example")]),
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://example/backend")]),
        x509.SubjectAlternativeName([]),
        x509.IssuerAlternativeName([x509.DNSName("issuer.example")]),
        x509.NameConstraints([x509.RFC822Name("ca@example")], None),
        x509.NameConstraints(None, [x509.UniformResourceIdentifier("example")]),
        x509.InhibitAnyPolicy(0),
        x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None),
        x509.CertificatePolicies([NOTICE]),
        x509.CRLDistributionPoints([x509.DistributionPoint([WEB], None, None, None)]),
        x509.FreshestCRL([x509.DistributionPoint([WEB], None, None, None)]),
        x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, WEB)]),
        x509.AuthorityKeyIdentifier(None, [WEB], 1),
        x509.SubjectKeyIdentifier(b"key"),
    ],
)
def test_what_a_jvm_may_be_unable_to_read_is_unknown_where_it_is_critical(extension: x509.ExtensionType) -> None:
    critical = Certificate.parse(authority(extensions=[(extension, True)]).der)
    other = Certificate.parse(authority(extensions=[(extension, False)]).der)

    assert critical.unknown_critical == (extension.oid.dotted_string,)
    assert other.unknown_critical == ()


@pytest.mark.parametrize(
    "extension",
    [
        x509.SubjectAlternativeName([x509.DNSName("backend.example"), x509.IPAddress(ip_address("::1")), DIRECTORY]),
        x509.SubjectAlternativeName([x509.DNSName("backend.example")]),
        x509.NameConstraints([x509.DNSName(".example")], [x509.IPAddress(ip_network("10.0.0.0/8")), DIRECTORY]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    ],
)
def test_what_every_jvm_reads_may_be_critical(extension: x509.ExtensionType) -> None:
    assert Certificate.parse(authority(extensions=[(extension, True)]).der).unknown_critical == ()


@pytest.mark.parametrize(("length", "unknown"), [(0, ()), (2**31 - 1, ()), (2**31, ("2.5.29.19",))])
def test_path_length_that_does_not_fit_a_jvm_is_not_understood(length: int, unknown: tuple[str, ...]) -> None:
    limits = x509.BasicConstraints(ca=True, path_length=length)

    assert Certificate.parse(self_signed(ca=None, extensions=[(limits, True)]).der).unknown_critical == unknown


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    long_form = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, length] if length < 0x80 else [tag, 0x80 + len(long_form), *long_form]) + content


def _forged(*, algorithm: bytes = b"", key_algorithm: bytes = b"", number: bytes = b"", key: bytes = b"") -> bytes:
    """A certificate with another AlgorithmIdentifier, inside and outside or for its key, another serial or key."""
    der = issued(authority(), key=rsa_key()).der
    signed, outer, signature = asn1.children(der, asn1.element(der))
    version, serial, _, issuer, validity, subject, own_key, *others = _parts(der, signed)
    key = key or own_key
    identifier = algorithm or der[outer.start : outer.end]
    serial = _tlv(0x02, number) if number else serial
    if key_algorithm:
        key = _tlv(0x30, key_algorithm + _parts(key, asn1.element(key))[1])
    content = b"".join([version, serial, identifier, issuer, validity, subject, key, *others])
    return _tlv(0x30, _tlv(0x30, content) + identifier + der[signature.start : signature.end])


def _parts(der: bytes, parent: asn1.Element) -> list[bytes]:
    return [der[each.start : each.end] for each in asn1.children(der, parent)]


def _pss(trailer: str = "") -> bytes:
    """RSASSA-PSS with SHA-256 and 32 octets of salt."""
    sha256_mgf1_salt = (
        "a00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201a203020120"
    )
    return _tlv(0x30, bytes.fromhex("06092a864886f70d01010a") + _tlv(0x30, bytes.fromhex(sha256_mgf1_salt + trailer)))


@pytest.mark.parametrize("trailer", ["", "a303020101"], ids=["default", "1"])
def test_pss_with_the_usual_trailer_is_known(trailer: str) -> None:
    assert Certificate.parse(_forged(algorithm=_pss(trailer))).signature_hash == "sha256"
    assert Certificate.parse(_forged(key_algorithm=_pss(trailer))).key.kind == "rsa"


@pytest.mark.parametrize("trailer", ["a303020100", "a303020102", "a303020107"])
def test_pss_with_a_trailer_that_no_jvm_reads_is_unknown(trailer: str) -> None:
    assert Certificate.parse(_forged(algorithm=_pss(trailer))).signature_hash == "unknown"
    assert Certificate.parse(_forged(key_algorithm=_pss(trailer))).key.kind == "other"


def test_what_openssl_makes_by_default_is_a_self_signed_ca(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl on PATH")
    arguments = "req -x509 -newkey rsa:2048 -nodes -subj /CN=backend.example -keyout key.pem -outform DER -out made.der"
    subprocess.run(["openssl", *arguments.split()], cwd=tmp_path, check=True, capture_output=True)

    read = Certificate.parse((tmp_path / "made.der").read_bytes())

    assert (read.is_ca, read.self_signed, read.self_signature_valid, read.key_cert_sign) == (True, True, True, None)
    assert read.is_for("backend.example")


@pytest.mark.parametrize(
    ("sans", "host", "matches"),
    [
        (["backend.example"], "backend.example", True),
        (["BACKEND.example"], "backend.example", True),
        (["backend.example"], "www.backend.example", False),
        (["*.example.org"], "a.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "a.b.example.org", False),
        (["*.org"], "example.org", False),
        (["a*.example.org"], "ab.example.org", False),
        (["*.*.example.org"], "a.b.example.org", False),
        (["a.*.example.org"], "a.b.example.org", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "10.0.0.2", False),
        (["2001:db8::1"], "2001:db8::1", True),
        (["2001:db8::a"], "2001:db8::a", True),
        (["2001:db8::a"], "2001:db8::b", False),
        (["other.example"], "backend.example", False),
        ([], "backend.example", True),
    ],
)
def test_host_is_matched_as_rfc_9525_says(sans: list[str], host: str, *, matches: bool) -> None:
    read = Certificate.parse(self_signed("backend.example", sans=sans).der)

    assert read.is_for(host) is matches


def test_address_does_not_match_a_name_that_looks_like_it() -> None:
    name = x509.SubjectAlternativeName([x509.DNSName("10.0.0.1")])

    assert not Certificate.parse(self_signed(sans=[], extensions=[(name, False)]).der).is_for("10.0.0.1")


def _refused(der: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        Certificate.parse(der)
    assert refused.value.field == "certificate"
    assert refused.value.detail == certificate.REASONS[refused.value.code]
    return refused.value.code


def _with_serial(octets: str) -> bytes:
    """The serial 0x1122334455 replaced by as many octets."""
    der = self_signed(serial=0x1122334455).der
    assert der.count(bytes.fromhex("02051122334455")) == 1
    return der.replace(bytes.fromhex("02051122334455"), bytes.fromhex("0205" + octets))


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x30\x00", id="empty sequence"),
        pytest.param(b"no certificate at all", id="text"),
        pytest.param(self_signed().der[:-1], id="truncated"),
        pytest.param(self_signed().der + b"\0", id="trailing byte"),
        pytest.param(_with_serial("0000000000"), id="serial with padding"),
    ],
)
def test_broken_der_is_refused(der: bytes) -> None:
    assert _refused(der) in {"certificate_unreadable", "serial_invalid"}


def test_negative_serial_is_refused() -> None:
    assert _refused(_with_serial("ff22334455")) == "serial_invalid"


def test_serial_of_twenty_octets_is_accepted() -> None:
    assert Certificate.parse(_forged(number=b"\x7f" * 20)).serial == int.from_bytes(b"\x7f" * 20)


@pytest.mark.parametrize("number", [b"\x00" + b"\xff" * 20, b"\x7f" * 21], ids=["sign and 20", "21"])
def test_serial_of_more_than_twenty_octets_is_refused(number: bytes) -> None:
    """The octet that makes a number positive counts: it is one of those that are encoded."""
    assert _refused(_forged(number=number)) == "serial_invalid"


def test_zero_serial_is_refused() -> None:
    assert _refused(_with_serial("0000000000")) == "serial_invalid"


def test_two_signature_algorithms_are_refused() -> None:
    made = self_signed()
    ecdsa_sha256, ecdsa_sha384 = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040303")
    assert made.der.count(ecdsa_sha256) == 2

    inside = made.der.replace(ecdsa_sha256, ecdsa_sha384, 1)
    outside = made.der.replace(ecdsa_sha256, ecdsa_sha384).replace(ecdsa_sha384, ecdsa_sha256, 1)
    assert inside != outside
    assert _refused(inside) == _refused(outside) == "signature_algorithms_differ"


def test_duplicate_extension_is_refused() -> None:
    oids = [ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}") for number in (1, 2)]
    made = self_signed(extensions=[(x509.UnrecognizedExtension(oid, b"\x05\x00"), False) for oid in oids])
    one, two = (bytes.fromhex(f"2b06010401868d1f{number:02x}") for number in (1, 2))
    assert made.der.count(two) == 1

    assert _refused(made.der.replace(two, one)) == "extension_duplicate"


def test_defect_that_shows_only_when_a_property_is_read_is_refused() -> None:
    broken = x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"\xff\xff")

    assert _refused(self_signed(extensions=[(broken, False)]).der) == "certificate_unreadable"


def _without_subject(*extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    key = ec_key()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(serial_number=1, not_valid_before=begin, not_valid_after=begin + timedelta(days=1))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")]))
        .subject_name(x509.Name([]))
        .public_key(key.public_key())
    )
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_certificate_without_any_name_is_refused_because_no_jvm_could_read_the_truststore() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("backend.example")])
    other = x509.BasicConstraints(ca=False, path_length=None)

    assert _refused(_without_subject()) == "name_empty"
    assert _refused(_without_subject((names, False), (other, True))) == "name_empty"
    assert Certificate.parse(_without_subject((names, True))).names == ("backend.example",)


def test_name_constraint_with_a_whole_uri_is_refused_because_no_jvm_could_read_the_truststore() -> None:
    constraints = x509.NameConstraints([x509.UniformResourceIdentifier("https://backend.example")], None)

    assert _refused(authority(extensions=[(constraints, True)]).der) == "name_constraint_invalid"


def test_elliptic_curve_in_the_explicit_form_that_no_jvm_reads_is_of_no_known_kind() -> None:
    file = Path(str(cryptography_vectors.__file__)).parent / "x509/custom/ec_no_named_curve.pem"

    key = Certificate.parse(certificate_file.read(file.read_bytes()).certificate).key
    assert (key.kind, key.bits, key.exponent, key.curve) == ("other", 0, None, None)


def test_compressed_point_that_no_jvm_reads_is_of_no_known_kind() -> None:
    public = ec_key().public_key()
    plain = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    compressed = _tlv(0x30, _parts(plain, asn1.element(plain))[0] + _tlv(0x03, b"\0" + point))

    assert Certificate.parse(_forged(key=plain)).key.kind == "ec"
    assert Certificate.parse(_forged(key=compressed)).key.kind == "other"


@pytest.mark.parametrize("name", ["custom/unsupported_subject_public_key_info.pem", "e-trust.ru.der"])
def test_key_that_nobody_here_can_read_is_of_no_known_kind(name: str) -> None:
    file = Path(str(cryptography_vectors.__file__)).parent / "x509" / name

    key = Certificate.parse(certificate_file.read(file.read_bytes()).certificate).key
    assert (key.kind, key.bits, key.exponent, key.curve) == ("other", 0, None, None)
    assert len(key.fingerprint_sha256) == 64


def test_signature_that_nobody_here_can_verify_is_unknown() -> None:
    of_nobody = _tlv(0x30, bytes.fromhex("06082b0601040186ff01") + b"\x05\x00")

    assert Certificate.parse(_forged(algorithm=of_nobody)).signature_hash == "unknown"


LONG_NAME = ".".join(["a" * 63] * 3 + ["b" * 61])  # 253 characters


@pytest.mark.parametrize(
    ("sans", "common_name", "names"),
    [
        (["Backend.Example", "*.Corp.Example"], None, {"backend.example", "*.corp.example"}),
        (["backend.example", "10.0.0.1", "2001:DB8:0::1"], None, {"backend.example", "10.0.0.1", "2001:db8::1"}),
        (["backend.example"], "other.example", {"backend.example"}),
        ((), "Other.Example", {"other.example"}),
        ((), "10.0.0.1", {"10.0.0.1"}),
        (["*.example", "a*.example.org", "backend.example"], None, {"a*.example.org", "backend.example"}),
        ((), "B\u00fccher GmbH", set()),
        ((), "two\nlines", set()),
        (["a"], None, {"a"}),
        ([LONG_NAME], None, {LONG_NAME}),
        ([f"{LONG_NAME}b"], None, set()),
        ([f"{LONG_NAME}bb"], None, set()),
    ],
)
def test_server_names_are_what_a_host_may_be_compared_with(
    sans: list[str], common_name: str | None, names: set[str]
) -> None:
    read = Certificate.parse(self_signed("x.example", sans=sans, common_name=common_name).der)

    assert read.server_names == names


def test_address_that_is_written_as_a_dns_name_is_no_servers_name() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("10.0.0.1"), x509.DNSName("a.example")])
    made = self_signed("x.example", sans=(), extensions=[(names, False)])

    assert Certificate.parse(made.der).server_names == {"a.example"}


def test_empty_name_is_no_servers_name() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName(""), x509.DNSName("a.example")])
    made = self_signed("x.example", sans=(), extensions=[(names, False)])

    assert Certificate.parse(made.der).server_names == {"a.example"}


def test_authority_has_no_server_names() -> None:
    assert Certificate.parse(self_signed("backend.example", ca=True).der).server_names == frozenset()
