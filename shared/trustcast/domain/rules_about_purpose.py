"""The rules about what a certificate is for: whose names it has, and for whom it can vouch."""

from __future__ import annotations

from cryptography.x509.oid import ExtendedKeyUsageOID

from trustcast.domain.policy_case import Case, Rule

_SERVER_USES = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string}
)


def _not_for_servers(case: Case) -> bool:
    usages = case.certificate.extended_key_usages
    return not case.certificate.is_ca and usages is not None and not usages & _SERVER_USES


def _has_alternative_name(case: Case) -> bool:
    return bool(case.certificate.dns_names or case.certificate.ip_addresses)


CERTIFICATE_V1 = Rule(
    "certificate_v1",
    "The certificate is X.509 version 1: it cannot say that it is no CA, so a gateway would let it vouch for "
    "every name. Make a version 3 certificate (openssl req -x509 -addext basicConstraints=critical,CA:FALSE).",
    lambda case: case.certificate.version == 1 and not case.policy.allow_v1,
)

CRITICAL_EXTENSION_UNKNOWN = Rule(
    "critical_extension_unknown",
    "The certificate holds a critical extension that is not understood here, so it must not be used "
    "(RFC 5280, 4.2). Understood are basic constraints, key usage, extended key usage, and, with nothing but DNS "
    "names, IP addresses and directory names, subject alternative name and name constraints; have it issued "
    "without the others, or with them not critical.",
    lambda case: bool(case.certificate.unknown_critical),
)

CA_WITHOUT_CERT_SIGN = Rule(
    "ca_without_cert_sign",
    "The certificate is a CA whose key usage does not allow it to sign certificates (RFC 5280, 4.2.1.3); "
    "have it issued with keyCertSign or with CA:FALSE.",
    lambda case: case.certificate.is_ca and case.certificate.key_cert_sign is False,
)

NOT_FOR_SERVERS = Rule(
    "not_for_servers",
    "The certificate's extended key usage does not include server authentication; "
    "upload the certificate that the backend shows to its clients.",
    _not_for_servers,
)

SERVER_CA_FORBIDDEN = Rule(
    "server_ca_forbidden",
    "This server certificate is a CA as well (CA:TRUE, as 'openssl req -x509' makes it by default), and this "
    "tenant's policy accepts none of that kind (allow_server_ca). Make it again with "
    "'-addext basicConstraints=critical,CA:FALSE'.",
    lambda case: case.is_server_ca and not case.policy.allow_server_ca,
)

CA_FORBIDDEN = Rule(
    "ca_forbidden",
    "The certificate is a CA, and this tenant's policy accepts none (allow_ca); upload the backend's own certificate.",
    lambda case: case.certificate.is_ca and not case.policy.allow_ca and (case.ca or not case.is_server_ca),
)

CA_NOT_ALLOWED = Rule(
    "ca_not_allowed",
    "The certificate is a CA: it would vouch for every name, not only for this endpoint. Upload the backend's "
    "own certificate, or send ca=true if you do mean to trust everything that this CA signs.",
    lambda case: case.certificate.is_ca and not case.ca and not case.is_server_ca,
)

CA_MATCHES_ENDPOINT = Rule(
    "ca_matches_endpoint",
    "DANGER: this server certificate is a CA as well (CA:TRUE, as 'openssl req -x509' makes it by default), so "
    "whoever holds its key can pose as ANY backend of this gateway. Make it again with "
    "'-addext basicConstraints=critical,CA:FALSE', or isolate endpoints from each other on the gateway.",
    lambda case: case.is_server_ca,
)

V1_ACCEPTED = Rule(
    "v1_accepted",
    "DANGER: this X.509 version 1 certificate was accepted because this tenant's policy allows it; whoever holds "
    "its key can pose as ANY backend of this gateway. Replace it with a version 3 certificate.",
    lambda case: case.certificate.version == 1,
)

CA_WITHOUT_NAME_CONSTRAINTS = Rule(
    "ca_without_name_constraints",
    "This CA has no name constraints: it vouches for every name.",
    # The loud warning of a server's certificate says it already.
    lambda case: case.certificate.is_ca and not case.is_server_ca and not case.certificate.has_name_constraints,
)

WILDCARD = Rule(
    "wildcard",
    "The certificate has a wildcard name: it stands for every host of that domain.",
    lambda case: any("*" in name for name in case.certificate.names),
)

NO_ALTERNATIVE_NAME = Rule(
    "no_alternative_name",
    "The certificate has no subject alternative name; clients that follow RFC 9525 will not accept it.",
    lambda case: case.shows_at_endpoint and not _has_alternative_name(case),
)

NAME_MISMATCH = Rule(
    "name_mismatch",
    "The certificate's names do not include the endpoint's host; a gateway that checks host names will refuse "
    "the connection.",
    lambda case: case.shows_at_endpoint and not case.is_for_endpoint,
)
