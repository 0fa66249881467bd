"""Forms to begin with, as uploads send them, and changes to a part: to what is in it, to its head, to its number."""

from __future__ import annotations

from functools import cache
from random import Random

from tests.faults import hostile_bodies
from tests.faults.hostile_bodies import file, part
from tests.fuzz.readers import elements, files_of_certificates, files_of_stores
from tests.fuzz.readers.files_of_certificates import LARGEST

CONTENT_TYPE = hostile_bodies.FORM

_END = b"--x--\r\n"
_BETWEEN = b"--x\r\n"
_FIELDS = ["alias", "endpoint", "certificate", "anchor", "ca", "accept_expired", "activate_at", "password", "other", ""]
_TEXTS = [
    *(b"", b"leaf", b"ca", b"true", b"false", b"x" * 300, b"\xff", b"\xed\xa0\x80", "\u0430lias".encode(), b"a\r\nb"),
    *(b"2027-01-31T06:00:00Z", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59.999999999-14:00", b"2027-02-30T00"),
    *(b"https://backend.example", b"https://[::1]:443/{x}", files_of_stores.PASSWORD.encode()),
]
_HEADS = [
    *(
        b'; filename="a"',
        b"; filename*=utf-8''%ff",
        b"; filename*=punycode''x",
        b'; name="alias"',
        b"\r\nX: y",
        b"\r\n y",
    ),
    *(b"\r\nContent-Type: text/plain; charset=utf-16", b"\r\nContent-Transfer-Encoding: base64", b"\0", b'"', b":"),
]


@cache
def forms() -> list[bytes]:
    """A form for each file of certificates and each key store, some with every field there is."""
    certificates = [hostile_bodies.form(one) for one in files_of_certificates.files() if len(one) <= LARGEST]
    stores = [
        _of(part("password", files_of_stores.PASSWORD.encode()), file(store))
        for store in (*files_of_stores.pkcs12_files(), *files_of_stores.jks_files())
    ]
    texts = {"anchor": "ca", "ca": "true", "accept_expired": "true", "activate_at": "2027-01-31T06:00:00Z"}
    whole = [hostile_bodies.form(one.pem, **texts) for one in files_of_certificates.made()]
    return [*whole, *certificates, *stores, b"", _END, part("alias", b"a") * 30 + _END]


def mutated_form(data: bytes, luck: Random) -> bytes:
    """Return a form with a part changed, left out, doubled or put in."""
    parts, chance = data.removesuffix(_END).split(_BETWEEN)[1:], luck.random()
    if chance < 0.1 or not parts:
        return elements.changed(data, luck)
    at = luck.randrange(len(parts))
    if chance < 0.2:
        parts[at : at + 1] = [parts[at]] * luck.choice((0, 2, 9))
    elif chance < 0.4:
        parts.append(part(luck.choice(_FIELDS), luck.choice(_TEXTS)).removeprefix(_BETWEEN))
    elif chance < 0.5:
        head, between, content = parts[at].partition(b"\r\n\r\n")
        parts[at] = luck.choice((elements.changed(head, luck), head + luck.choice(_HEADS))) + between + content
    else:
        parts[at] = _with_other_content(parts[at], luck)
    return b"".join(_BETWEEN + one for one in parts) + luck.choice((_END, _END, _END, b"", b"--x--", b"--x\r\n"))


def _with_other_content(one: bytes, luck: Random) -> bytes:
    head, between, content = one.removesuffix(b"\r\n").partition(b"\r\n\r\n")
    if b'"certificate"' not in head:
        content = luck.choice((luck.choice(_TEXTS), elements.changed(content, luck)))
    elif content[:2] == b"\xfe\xed":
        content = files_of_stores.mutated_jks(content, luck)
    elif b"\x02\x01\x03\x30" in content[:10]:
        content = files_of_stores.mutated_pkcs12(content, luck)
    else:
        content = files_of_certificates.mutated(content, luck)
    return head + between + content + b"\r\n"


def _of(*parts: bytes) -> bytes:
    return b"".join(parts) + _END
