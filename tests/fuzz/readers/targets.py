"""What reads bytes that anybody may send, and what is held against each of them besides crashes and time.

Each function takes any bytes. What it raises is a failure: the errors that a reader documents are caught here, and only
with the codes that it has sentences for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from tests.fuzz.readers import bulk_lines, elements, files_of_certificates, files_of_stores, forms, policy_cases
from tests.fuzz.readers.files_of_stores import PASSWORD
from trustcast.domain import alias, certificate, certificate_file, chain, der, endpoint, pem, pkcs7, policy, private_key
from trustcast.domain.certificate import Certificate
from trustcast.domain.certificate_file import Anchor, Chosen
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected, TrustcastError
from trustcast.domain.policy import Policy
from trustcast.keystore import der_values, jks, pkcs12
from trustcast_api import read_bulk, read_keystore, read_upload
from trustcast_api.read_form import Form
from trustcast_api.reading import readings
from trustcast_api.reading.wire import Reading
from trustcast_api.request import REFUSAL
from trustcast_api.search_json import Json

A = TypeVar("A")
T = TypeVar("T")
logging.getLogger("python_multipart.multipart").disabled = True  # it warns of each broken form

Mutate = Callable[[bytes, Random], bytes]

OF_PEM = {*pem.REASONS}
OF_CERTIFICATE = {*certificate.REASONS}
OF_FILE = {*OF_PEM, *OF_CERTIFICATE, *pkcs7.REASONS, *chain.REASONS, *certificate_file.REASONS}
OF_STORE = {*read_keystore.REASONS, "private_key", "certificate_too_large"}
OF_JKS = {f"keystore_{name}" for name in ("not_jks", "version", "truncated", "password", "entry", "alias")}
OF_ENDPOINT = {*endpoint.REASONS}
OF_LINE = {*read_bulk.REASONS, *alias.REASONS, *OF_ENDPOINT, *OF_FILE}


@dataclass(frozen=True)
class Target:
    """`run` reads; `seeds` are what to begin with, `mutate` makes another one of one."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Mutate


def text_around(data: bytes) -> None:
    """The PEM splitter, and the search for private keys."""
    assert private_key.found_in(data) in {True, False}
    with _only(Rejected, OF_PEM):
        contents = pem.blocks(data)
        assert all(contents)
        if contents:
            assert pem.blocks(files_of_certificates.armoured(*contents)) == contents


def file_of_certificates(data: bytes) -> None:
    """A file in any form, with either anchor, and with its certificates read once more by themselves."""
    chosen: list[Chosen] = []
    for anchor in Anchor:
        with _only(Rejected, OF_FILE):
            chosen.append(certificate_file.read(data, anchor=anchor))
    for each in chosen:
        for one in (each.certificate, *each.chain):
            assert Certificate.parse(one).der == one
            assert not private_key.found_in(one)
        assert chain.chain(each.certificate, each.chain)[0] == each.certificate
    assert len({frozenset((each.certificate, *each.chain)) for each in chosen}) <= 1


def pkcs12_file(data: bytes) -> None:
    """A PKCS12 file with a password and, where that makes a difference, without; and the door that it comes through."""
    pkcs12.looks_like(data)
    _uploaded(data)
    with _only(Rejected, OF_STORE):
        pkcs12.read(data, None)


def jks_file(data: bytes) -> None:
    """A JKS: what is read is what is written, and what the second reader finds."""
    holds_key = jks.holds_private_key(data)
    assert not (_uploaded(data) and holds_key)
    with _only(jks.KeystoreError, OF_JKS):
        jks.second_reading(data, PASSWORD)
    with _only(jks.KeystoreError, OF_JKS):
        entries = jks.read(data, PASSWORD)
        assert data.startswith(jks.write(entries, PASSWORD))
        trusted = {each.alias: each.certificate for each in entries if each.certificate is not None}
        hashes = {name: hashlib.sha256(one).hexdigest() for name, one in trusted.items()}
        assert jks.second_reading(data, PASSWORD) == hashes
        ours = [jks.trusted_entry(name, one) for name, one in trusted.items()]
        assert all(each.is_ours for each in ours)
        assert jks.read(jks.write(ours, PASSWORD), PASSWORD) == ours


def _uploaded(data: bytes) -> list[read_keystore.Entry]:
    with _only(Rejected, OF_STORE):
        entries = read_keystore.read_keystore(data, PASSWORD)
        for each in entries:
            assert not private_key.found_in(each.certificate)
            with _only(Rejected, OF_STORE):
                read_keystore.certificate_of(each)
        return entries
    return []


def verdict(data: bytes) -> None:
    """A certificate, with a tenant's settings, at any time, for any endpoint, comes to a verdict."""
    case = policy_cases.Case.read(data)
    accepted = Policy().with_settings(case.settings)
    assert Policy().with_settings(accepted.settings()) == accepted
    backend = Endpoint.parse("https://backend.example")
    with _only(Rejected, OF_ENDPOINT):
        backend = Endpoint.parse(case.text)
        assert Endpoint.parse(str(backend)) == backend
        assert endpoint.sought(case.text)[0] == backend.host
        assert backend.parent is None or backend.host.endswith(f".{backend.parent}")
    with _only(Rejected, OF_CERTIFICATE):
        read = Certificate.parse(case.der)
        assert all(name.isascii() for name in read.server_names)
        with _only(Rejected, policy.REASONS):
            warnings = accepted.check(
                read,
                endpoint=backend,
                at=case.at,
                ca=case.ca,
                accept_expired=case.accept_expired,
                activate_at=case.activate_at,
            )
            stored = [{"code": one.code, "detail": one.detail} for one in warnings]
            policy.standing_warnings(stored, not_after=read.not_after, at=case.at)


def bulk_body(data: bytes) -> None:
    """Lines of NDJSON: the same in whatever pieces the body comes, and each is a request or has a problem."""
    whole, in_pieces = read_bulk.Lines(), read_bulk.Lines()
    lines = [*whole.feed(data), *whole.end()]
    size = max(1, len(data) // 7)
    again = [line for at in range(0, len(data), size) for line in in_pieces.feed(data[at : at + size])]
    assert lines == [*again, *in_pieces.end()]
    assert whole.sha256() == in_pieces.sha256()
    for raw in lines:
        if read_bulk.is_blank(raw):
            continue
        line = read_bulk.read_line(raw)
        assert (line.request is None) != (line.problem is None)
        assert line.problem is None or line.problem.code in OF_LINE, line.problem


def form(data: bytes) -> None:
    """An upload's form, and what it holds, read at the other end of a pipe: what comes back is what was read there."""
    sent = Form(forms.CONTENT_TYPE, data, read_upload.FIELDS)
    with suppress(Rejected):
        read = _through_the_pipe(readings.NEW, sent)
        if isinstance(read, read_upload.Upload):
            assert read_upload.holds_many(read)
            _through_the_pipe(readings.KEYSTORE, read)


def json_body(data: bytes) -> None:
    """The search in bodies of JSON, at the other end of a pipe."""
    with _only(Rejected, {"private_key"}):
        _through_the_pipe(readings.SEARCH, Json(data, frozenset(read_bulk.FIELDS)))


def _through_the_pipe(reading: Reading[A, T], argument: A) -> T:
    name, _, asked = reading.asked(argument).partition(b"\n")
    try:
        answer = readings.BY_NAME[name.decode()].answered(asked)
    except Rejected as refused:
        raise REFUSAL.validate_json(REFUSAL.dump_json(refused)) from None
    there = reading.result(answer)
    assert _told(there) == _told(reading.here(argument))
    return there


def _told(result: Any) -> Any:
    """Lines by what is wrong with them: two errors that say the same are not equal."""
    if not isinstance(result, list):
        return result
    return [(line.number, line.alias, line.request, repr(line.problem)) for line in result]


def elements_of_der(data: bytes) -> None:
    """The walk through DER and BER, as far as each of its functions goes."""
    walked = list(_walk(data, der.Element(0, 0, 0, len(data)), 0))
    assert all(0 <= each.start < each.body <= each.end <= len(data) for each in walked)
    with suppress(ValueError):
        first = der.ber_element(data)
        assert first.body <= first.end
        assert data[first.end : first.end + first.closed_by] == bytes(first.closed_by)
    if pkcs7.is_pkcs7(data):
        with suppress(der.IndefiniteLengthError), _only(Rejected, OF_FILE):
            pkcs7.certificates(data, at_most=3)
    with suppress(ValueError):
        value = der_values.only(data)
        for each in der_values.sequence(value):
            der_values.natural(each)


def _walk(data: bytes, parent: der.Element, depth: int) -> Iterator[der.Element]:
    try:
        found = der.children(data, parent)
    except ValueError:
        return
    for each in found:
        yield each
        if depth < 20:
            yield from _walk(data, each, depth + 1)


@contextmanager
def _only(kind: type[TrustcastError], codes: Collection[str]) -> Iterator[None]:
    try:
        yield
    except kind as refusal:
        if refusal.code not in codes:
            raise AssertionError(f"a code that is not documented: {refusal.code}") from refusal


def _any_element(data: bytes, luck: Random) -> bytes:
    return elements.changed(data, luck) if luck.random() < 0.2 else elements.mutated(data, luck, _ders())


def _texts() -> list[bytes]:
    return [*files_of_certificates.files(), *files_of_certificates.keys()]


def _ders() -> list[bytes]:
    return [*files_of_certificates.ders(), *files_of_stores.pkcs12_files()]


TARGETS = {
    "pem": Target(text_around, _texts, files_of_certificates.mutated),
    "certificates": Target(file_of_certificates, files_of_certificates.files, files_of_certificates.mutated),
    "pkcs12": Target(pkcs12_file, files_of_stores.pkcs12_files, files_of_stores.mutated_pkcs12),
    "jks": Target(jks_file, files_of_stores.jks_files, files_of_stores.mutated_jks),
    "policy": Target(verdict, policy_cases.cases, policy_cases.mutated_case),
    "bulk": Target(bulk_body, bulk_lines.bodies, bulk_lines.mutated_body),
    "form": Target(form, forms.forms, forms.mutated_form),
    "json": Target(json_body, bulk_lines.bodies, bulk_lines.mutated_body),
    "der": Target(elements_of_der, _ders, _any_element),
}
