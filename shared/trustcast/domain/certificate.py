"""One X.509 certificate, read once and completely.

Some defects show only when a property is read, so `Certificate.parse` reads all of them inside one guarded
function; whoever holds a `Certificate` can look at any of it without an exception.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Self, TypeVar, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from trustcast.domain import der as asn1
from trustcast.domain import signatures
from trustcast.domain.errors import Rejected

# Filters belong to the process, so they stand here, where they are in force before anybody parses. What `cryptography`
# will refuse one day, others refuse already. keytool, though, writes the country "Unknown" unless it is told another.
warnings.filterwarnings("error", category=CryptographyDeprecationWarning, module=r"trustcast\.")
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning, module=r"trustcast\.")

_Value = TypeVar("_Value", bound=x509.ExtensionType)

REASONS = {
    "certificate_unreadable": (
        "The certificate is damaged or not valid X.509 in DER; have it issued again, or check it with "
        "'openssl x509 -in certificate.pem -noout -text'."
    ),
    "serial_invalid": (
        "The certificate's serial number is zero, negative or longer than 20 octets (RFC 5280, 4.1.2.2); "
        "have it issued again."
    ),
    "extension_duplicate": (
        "The certificate holds the same extension twice (RFC 5280, 4.2 forbids it); have it issued again."
    ),
    "signature_algorithms_differ": (
        "The certificate names two different signature algorithms inside and outside of its signed part "
        "(RFC 5280, 4.1.1.2 forbids it); have it issued again."
    ),
    "name_empty": (
        "The certificate has no issuer, or no subject and no critical subject alternative name in its place "
        "(RFC 5280, 4.1.2.6); a gateway cannot read such a certificate, so have it issued again."
    ),
    "name_constraint_invalid": (
        "The certificate has a name constraint for URIs that is not a host name (RFC 5280, 4.2.1.10); a gateway "
        "cannot read such a certificate, so have it issued again."
    ),
}

_SERIAL_OCTETS = 20
_LONGEST_HOST = 253
_URI_CONSTRAINT = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
# A JVM reads path lengths into an `int`.
_PATH_LENGTHS = range(2**31)
# It refuses e-mail addresses and URIs that `cryptography` takes; of these kinds of names it refuses none.
_NAMES_UNDERSTOOD = (x509.DNSName, x509.IPAddress, x509.DirectoryName)
# Hashes that `cryptography` does not name any more.
_OLD_HASHES = {"1.2.840.113549.1.1.2": "md2", SignatureAlgorithmOID.RSA_WITH_MD5.dotted_string: "md5"}
_HASHLESS = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})
_PSS_TRAILER = 0xA3
_PSS_TRAILER_1 = b"\x02\x01\x01"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: `kind` is `rsa`, `ec`, `ed25519`, `dsa` or `other`; `bits` is 0 where it is not known.

    `exponent` belongs to RSA, `curve` (OpenSSL's name, `secp256r1`) to EC. `fingerprint_sha256` is the SHA-256 of
    the SubjectPublicKeyInfo, as 64 lower-case hex digits.
    """

    kind: str
    bits: int
    exponent: int | None
    curve: str | None
    fingerprint_sha256: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says about itself. Times are aware and in UTC; names of hosts are lower-case.

    `names` are the DNS names and IP addresses of the subject alternative name, or the common name where it has
    neither. `self_signed` means: subject and issuer are the same, and no key identifier says that another key
    signed. `self_signature_valid` is None for what is not self-signed or cannot be verified here.
    `signature_hash` is a lower-case name, `none` for Ed25519 and Ed448, `unknown` for what nobody here knows.
    `unknown_critical` are the dotted OIDs of the critical extensions that are not understood here, or whose content
    is not: those that a JVM might be unable to read are among them, whatever `cryptography` makes of them.
    """

    der: bytes
    fingerprint_sha256: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    common_name: str | None
    not_before: datetime
    not_after: datetime
    serial: int
    version: int
    key: Key
    is_ca: bool
    self_signed: bool
    self_signature_valid: bool | None
    signature_hash: str
    key_cert_sign: bool | None
    extended_key_usages: frozenset[str] | None
    unknown_critical: tuple[str, ...]
    has_name_constraints: bool

    @classmethod
    def parse(cls, der: bytes) -> Self:
        """Read exactly one certificate in DER; raises `Rejected` with a code of `REASONS`."""
        try:
            return cls._read(der)
        except Rejected:
            raise
        except x509.DuplicateExtension:
            raise _rejected("extension_duplicate") from None
        # `cryptography` raises whatever its parsers meet (ValueError, TypeError, its own tree, a warning that was
        # made an error); each of them means that this certificate is not to be trusted.
        except Exception:  # noqa: BLE001
            raise _rejected("certificate_unreadable") from None

    @classmethod
    def _read(cls, der: bytes) -> Self:
        spki = _checked_shape(der)
        loaded = x509.load_der_x509_certificate(der)
        if loaded.public_bytes(Encoding.DER) != der:
            raise _rejected("certificate_unreadable")
        extensions = _Extensions(loaded.extensions)
        subject, issuer = loaded.subject, loaded.issuer  # each look at them reads them anew
        _check_what_a_jvm_cannot_read(subject, issuer, extensions)
        self_signed = subject == issuer and extensions.names_own_key()
        dns_names, ip_addresses = extensions.alternative_names()
        common_name = _common_name(subject)
        return cls(
            der=der,
            fingerprint_sha256=sha256(der).hexdigest(),
            subject=subject.rfc4514_string(),
            issuer=issuer.rfc4514_string(),
            names=dns_names + ip_addresses or ((common_name,) if common_name else ()),
            dns_names=dns_names,
            ip_addresses=ip_addresses,
            common_name=common_name,
            not_before=loaded.not_valid_before_utc,
            not_after=loaded.not_valid_after_utc,
            serial=loaded.serial_number,
            version=loaded.version.value + 1,
            key=_key(loaded, spki),
            is_ca=extensions.is_ca(),
            self_signed=self_signed,
            self_signature_valid=signatures.issued(loaded, loaded) if self_signed else None,
            signature_hash=_signature_hash(loaded),
            key_cert_sign=extensions.key_cert_sign(),
            extended_key_usages=extensions.extended_key_usages(),
            unknown_critical=extensions.unknown_critical(),
            has_name_constraints=extensions.find(x509.NameConstraints) is not None,
        )

    @property
    def server_names(self) -> frozenset[str]:
        """The names that `is_for` compares with, lower-case, for those who look in a database.

        What can be no host is left out; a CA's names are no server's, so a CA has none.
        """
        if self.is_ca:
            return frozenset()
        hosts = {name.lower() for name in self.names if name.isascii() and name.isprintable()}
        return frozenset(name for name in hosts if 0 < len(name) <= _LONGEST_HOST and self.is_for(_one_of(name)))

    def is_for(self, host: str) -> bool:
        """Tell whether a client that connects to `host` (as `Endpoint.host`) finds it among the names.

        RFC 6125 and 9525: a wildcard is the whole leftmost label and stands for exactly one; an IP address
        matches an IP address only. The common name counts only where there is no alternative name.
        """
        fallback = () if self.dns_names or self.ip_addresses else self.names
        address = _address(host)
        if address is None:
            return any(_name_matches(name.lower(), host) for name in self.dns_names + fallback)
        return address in self.ip_addresses + fallback


class _Extensions:
    """The extensions that say what a certificate may be used for."""

    def __init__(self, extensions: x509.Extensions) -> None:
        self._all = list(extensions)
        self._by_kind = {type(each.value): each.value for each in self._all}

    def find(self, kind: type[_Value]) -> _Value | None:
        return cast("_Value | None", self._by_kind.get(kind))

    def is_ca(self) -> bool:
        constraints = self.find(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    def key_cert_sign(self) -> bool | None:
        usage = self.find(x509.KeyUsage)
        return None if usage is None else usage.key_cert_sign

    def extended_key_usages(self) -> frozenset[str] | None:
        usages = self.find(x509.ExtendedKeyUsage)
        return None if usages is None else frozenset(usage.dotted_string for usage in usages)

    def unknown_critical(self) -> tuple[str, ...]:
        return tuple(e.oid.dotted_string for e in self._all if e.critical and not _is_understood(e.value))

    def alternative_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        names = self.find(x509.SubjectAlternativeName)
        if names is None:
            return (), ()
        dns_names = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        return tuple(name.lower() for name in dns_names), tuple(str(address) for address in addresses)

    def replaces_subject(self) -> bool:
        return any(isinstance(each.value, x509.SubjectAlternativeName) and each.critical for each in self._all)

    def uri_constraints(self) -> list[str]:
        constraints = self.find(x509.NameConstraints)
        trees = [] if constraints is None else _subtrees(constraints)
        return [tree.value for tree in trees if isinstance(tree, x509.UniformResourceIdentifier)]

    def names_own_key(self) -> bool:
        """A CA that changed its key may have signed the new certificate with the old key, under one name."""
        authority = self.find(x509.AuthorityKeyIdentifier)
        subject = self.find(x509.SubjectKeyIdentifier)
        if authority is None or authority.key_identifier is None or subject is None:
            return True
        return authority.key_identifier == subject.digest


def _is_understood(value: x509.ExtensionType) -> bool:
    """A JVM parses critical extensions while it loads a key store, and one that it cannot parse fails the whole load.

    Where the content of an extension is not critical, it keeps the bytes and goes on. So this list is short: what
    a trust anchor needs, without the URIs, e-mail addresses and big numbers that `cryptography` is laxer about.
    """
    match value:
        case x509.BasicConstraints():
            return (value.path_length or 0) in _PATH_LENGTHS
        case x509.KeyUsage() | x509.ExtendedKeyUsage():
            return True
        case x509.SubjectAlternativeName():
            return len(value) > 0 and all(isinstance(name, _NAMES_UNDERSTOOD) for name in value)
        case x509.NameConstraints():
            return all(isinstance(name, _NAMES_UNDERSTOOD) for name in _subtrees(value))
        case _:
            return False


def _subtrees(constraints: x509.NameConstraints) -> list[x509.GeneralName]:
    return [*(constraints.permitted_subtrees or []), *(constraints.excluded_subtrees or [])]


def _checked_shape(der: bytes) -> bytes:
    """Check what `cryptography` lets pass (RFC 5280, 4.1); return the bytes of the SubjectPublicKeyInfo."""
    whole = asn1.element(der)
    signed, outer_algorithm, _ = asn1.children(der, whole)
    fields = asn1.children(der, signed)
    if fields[0].tag == asn1.CONTEXT_0:
        del fields[0]
    serial, inner_algorithm, _issuer, _validity, _subject, key = fields[:6]
    number = int.from_bytes(der[serial.body : serial.end], signed=True)
    if number <= 0 or serial.end - serial.body > _SERIAL_OCTETS:
        raise _rejected("serial_invalid")
    if der[inner_algorithm.start : inner_algorithm.end] != der[outer_algorithm.start : outer_algorithm.end]:
        raise _rejected("signature_algorithms_differ")
    return der[key.start : key.end]


def _check_what_a_jvm_cannot_read(subject: x509.Name, issuer: x509.Name, extensions: _Extensions) -> None:
    """One entry that `KeyStore.load` cannot parse makes the whole truststore unreadable (found with OpenJDK 17)."""
    has_subject = bool(subject.rdns) or extensions.replaces_subject()
    if not issuer.rdns or not has_subject:
        raise _rejected("name_empty")
    if not all(map(_URI_CONSTRAINT.fullmatch, extensions.uri_constraints())):
        raise _rejected("name_constraint_invalid")


def _key(loaded: x509.Certificate, spki: bytes) -> Key:
    fingerprint = sha256(spki).hexdigest()
    try:
        public = loaded.public_key()
    except UnsupportedAlgorithm:
        return Key("other", 0, None, None, fingerprint)
    match public:
        case rsa.RSAPublicKey() if _has_usual_trailer(spki, 0):
            return Key("rsa", public.key_size, public.public_numbers().e, None, fingerprint)
        # A JVM cannot read explicit curves and compressed points, nor then the key store that they are in.
        case ec.EllipticCurvePublicKey() if _canonical(public) == spki:
            return Key("ec", public.key_size, None, public.curve.name, fingerprint)
        case ed25519.Ed25519PublicKey():
            return Key("ed25519", 256, None, None, fingerprint)
        case dsa.DSAPublicKey():
            return Key("dsa", public.key_size, None, None, fingerprint)
        case _:
            return Key("other", 0, None, None, fingerprint)


def _canonical(public: ec.EllipticCurvePublicKey) -> bytes:
    """The named curve and the uncompressed point."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signature_hash(loaded: x509.Certificate) -> str:
    oid = loaded.signature_algorithm_oid
    if oid in _HASHLESS:
        return "none"
    if oid == SignatureAlgorithmOID.RSASSA_PSS and not _has_usual_trailer(loaded.public_bytes(Encoding.DER), 1):
        return "unknown"
    try:
        algorithm = loaded.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    return algorithm.name if algorithm else _OLD_HASHES.get(oid.dotted_string, "unknown")


def _has_usual_trailer(der: bytes, index: int) -> bool:
    """RFC 4055, 3.1: no other than 1 may be used. A JVM loads no key store with another; `cryptography` ignores it.

    `index` is the place of the AlgorithmIdentifier in what `der` encodes.
    """
    algorithm = asn1.children(der, asn1.element(der))[index]
    fields = [field for parameters in asn1.children(der, algorithm)[1:] for field in asn1.children(der, parameters)]
    return all(der[each.body : each.end] == _PSS_TRAILER_1 for each in fields if each.tag == _PSS_TRAILER)


def _common_name(subject: x509.Name) -> str | None:
    values = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return next((value for value in reversed(values) if isinstance(value, str)), None)


def _one_of(name: str) -> str:
    """A host that a wildcard stands for; any other name stands for itself."""
    return f"any{name[1:]}" if name.startswith("*.") else name


def _address(host: str) -> str | None:
    """The normal form of an IP address. To ask the library about every name would double the time of a verdict."""
    if ":" in host or host[-1:].isdigit():
        with contextlib.suppress(ValueError):
            return str(ip_address(host))
    return None


def _name_matches(name: str, host: str) -> bool:
    if not name.startswith("*."):
        return name == host
    parent = name.removeprefix("*.")
    label, _, rest = host.partition(".")
    # OpenSSL and the JVM refuse a wildcard directly below a top level as well.
    return bool(label) and rest == parent and "." in parent and "*" not in parent


def _rejected(code: str) -> Rejected:
    return Rejected(code, REASONS[code], field="certificate")
