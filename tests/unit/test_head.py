"""Heads: their bytes, their signature, and which of them a gateway accepts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from trustcast.domain.errors import Unavailable, Untrusted
from trustcast.domain.head import LIFETIME, PAYLOAD_TYPE, Head, HeadSigner, accept, key_id, opened, public_key_from_pem

GOLDEN = Path(__file__).with_name("golden")
AT = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
HEAD = Head(
    environment="default",
    generation=7,
    entries=2,
    entries_sha256="117eb02166467984f446e802e885a854589348cacb6e5bfbf6c04976f48aa347",
    previous_head_sha256="3" * 64,
    issued_at=AT,
    expires_at=AT + timedelta(minutes=10),
)


def refusal(envelope: bytes | dict[str, Any], keys: dict[str, Any] | None = None) -> str:
    data = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    with pytest.raises(Untrusted) as refused:
        opened(data, KEYS if keys is None else keys)
    return refused.value.code


def signed(payload: bytes, *, key: Ed25519PrivateKey = KEY, kind: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """An envelope around any payload, made by the book (DSSE's protocol.md) and not by our code."""
    signature = key.sign(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    sealed = {"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}
    return {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": [sealed]}


def test_payload_is_these_bytes_for_ever() -> None:
    assert HEAD.payload() == (GOLDEN / "head.payload.json").read_bytes()


def test_envelope_is_these_bytes_for_ever() -> None:
    assert HeadSigner(KEY).sign(HEAD) == (GOLDEN / "head.envelope.json").read_bytes()


def test_envelope_made_by_the_book_is_opened() -> None:
    assert opened(json.dumps(signed(HEAD.payload())).encode(), KEYS) == HEAD


@pytest.mark.parametrize("previous", [None, "0" * 64])
def test_what_was_signed_comes_back(previous: str | None) -> None:
    head = replace(HEAD, previous_head_sha256=previous)

    assert opened(HeadSigner(KEY).sign(head), KEYS) == head


def test_zone_of_the_signer_does_not_show() -> None:
    elsewhere = replace(HEAD, issued_at=AT.astimezone(timezone(timedelta(hours=-8))))

    assert elsewhere.payload() == HEAD.payload()


def test_hash_that_the_next_head_names_is_over_the_payload() -> None:
    assert HEAD.sha256() == "b4a0741133b04148800d0ca9fe9b3d06ef24ec25b69675383da5a9b36d57cbf9"


def test_head_of_an_unknown_key_is_refused() -> None:
    assert refusal(HeadSigner(OTHER).sign(HEAD)) == "head_unknown_key"


def test_head_that_claims_a_known_key_is_refused() -> None:
    forged = signed(HEAD.payload(), key=OTHER)
    forged["signatures"][0]["keyid"] = key_id(KEY.public_key())

    assert refusal(forged) == "head_bad_signature"


def test_every_changed_bit_of_the_payload_is_noticed() -> None:
    envelope = signed(HEAD.payload())
    for position in range(len(HEAD.payload())):
        changed = bytearray(HEAD.payload())
        changed[position] ^= 1

        assert refusal(envelope | {"payload": base64.b64encode(changed).decode()}) == "head_bad_signature"


def test_signature_over_the_payload_alone_is_refused() -> None:
    envelope = signed(HEAD.payload())
    envelope["signatures"][0]["sig"] = base64.b64encode(KEY.sign(HEAD.payload())).decode()

    assert refusal(envelope) == "head_bad_signature"


def test_statement_of_another_type_is_refused_whatever_its_signature() -> None:
    assert refusal(signed(HEAD.payload(), kind="application/vnd.in-toto+json")) == "head_malformed"


def test_one_known_signature_among_unknown_ones_will_do() -> None:
    envelope = signed(HEAD.payload(), key=OTHER)
    envelope["signatures"] += signed(HEAD.payload())["signatures"]

    assert opened(json.dumps(envelope).encode(), KEYS) == HEAD


@pytest.mark.parametrize("bad", [0, 1])
def test_every_known_signature_must_be_good(bad: int) -> None:
    envelope = signed(HEAD.payload())
    envelope["signatures"] += signed(HEAD.payload(), key=OTHER)["signatures"]
    keys = KEYS | {key_id(OTHER.public_key()): OTHER.public_key()}
    assert opened(json.dumps(envelope).encode(), keys) == HEAD

    envelope["signatures"][bad]["sig"] = base64.b64encode(bytes(64)).decode()

    assert refusal(envelope, keys) == "head_bad_signature"


@pytest.mark.parametrize("kind", ["application/vnd.trustcast.head", "text/plain", ""])
def test_head_of_another_type_is_refused_however_the_type_sorts(kind: str) -> None:
    assert refusal(signed(HEAD.payload(), kind=kind)) == "head_malformed"


@pytest.mark.parametrize("field", ["payload", "sig"])
def test_base64_is_read_strictly(field: str) -> None:
    """What would be passed over is not signed."""
    envelope = signed(HEAD.payload())
    place = envelope if field == "payload" else envelope["signatures"][0]
    place[field] = f"!{place[field]}"

    assert refusal(envelope) == "head_malformed"


def test_envelope_has_at_most_16_kb() -> None:
    envelope = HeadSigner(KEY).sign(HEAD)

    assert opened(envelope.ljust(16_384), KEYS) == HEAD
    assert refusal(envelope.ljust(16_385)) == "head_malformed"


def test_first_generation_may_be_empty() -> None:
    first = replace(HEAD, generation=1, entries=0, previous_head_sha256=None)

    assert opened(HeadSigner(KEY).sign(first), KEYS) == first


def test_head_is_good_for_ten_minutes() -> None:
    """docs/architecture.md: so long a gateway believes that there is no news."""
    assert timedelta(minutes=10) == LIFETIME


def test_two_signatures_of_one_key_are_refused() -> None:
    envelope = signed(HEAD.payload())
    envelope["signatures"] *= 2

    assert refusal(envelope) == "head_malformed"


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 10_000,
        b'{"payload": 1, "payloadType": "x", "signatures": []}',
        b'{"payload": "!", "payloadType": "x", "signatures": [{"keyid": "x", "sig": "!"}]}',
        b" " * 20_000,
    ],
    ids=["empty", "object", "list", "null", "binary", "deep", "number", "base64", "long"],
)
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    assert refusal(envelope) == "head_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 0},
        {"generation": -1},
        {"generation": "7"},
        {"generation": True},
        {"generation": 7.0},
        {"entries": -1},
        {"entries": None},
        {"entries_sha256": "A" * 64},
        {"entries_sha256": "a" * 63},
        {"previous_head_sha256": 0},
        {"environment": None},
        {"issued_at": "2026-11-23T12:00:00+01:00"},
        {"issued_at": "yesterday Z"},
        {"expires_at": 1},
    ],
    ids=repr,
)
def test_signed_payload_that_is_no_head_is_refused(change: dict[str, Any]) -> None:
    fields = json.loads(HEAD.payload()) | change

    assert refusal(signed(json.dumps(fields).encode())) == "head_malformed"


@pytest.mark.parametrize("field", json.loads(HEAD.payload()))
def test_signed_payload_with_a_field_less_is_refused(field: str) -> None:
    fields = {name: value for name, value in json.loads(HEAD.payload()).items() if name != field}

    assert refusal(signed(json.dumps(fields).encode())) == "head_malformed"


def test_signed_payload_may_have_a_field_more() -> None:
    fields = json.loads(HEAD.payload()) | {"colour": "blue"}

    assert opened(json.dumps(signed(json.dumps(fields).encode())).encode(), KEYS) == HEAD


def accepted(head: Head = HEAD, *, last: Head | None = None, at: datetime = AT, environment: str = "default") -> str:
    """The code of the refusal, or that there is none."""
    try:
        accept(head, environment=environment, at=at, last=last)
    except Untrusted as refused:
        return refused.code
    return "accepted"


@pytest.mark.parametrize("generations", [1, 2, 1000])
def test_head_that_goes_forward_is_accepted(generations: int) -> None:
    last = replace(HEAD, entries_sha256="f" * 64)

    assert accepted(replace(HEAD, generation=HEAD.generation + generations), last=last) == "accepted"


def test_first_head_and_the_same_head_again_are_accepted() -> None:
    assert accepted() == accepted(last=HEAD) == "accepted"


def test_head_signed_again_for_the_same_generation_is_accepted() -> None:
    again = replace(HEAD, issued_at=AT + timedelta(minutes=3), expires_at=AT + timedelta(minutes=13))

    assert accepted(again, last=HEAD) == "accepted"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"environment": "other"}, "head_wrong_environment"),
        ({"environment": "Default"}, "head_wrong_environment"),
        ({"generation": 6}, "head_rollback"),
        ({"generation": 1}, "head_rollback"),
        ({"entries_sha256": "f" * 64}, "head_equivocation"),
        ({"entries_sha256": "0" * 64}, "head_equivocation"),
        ({"expires_at": AT}, "head_expired"),
        ({"expires_at": AT - timedelta(days=1)}, "head_expired"),
    ],
)
def test_head_that_is_not_for_us_or_no_news_is_refused(change: dict[str, Any], code: str) -> None:
    assert accepted(replace(HEAD, **change), last=HEAD) == code


def test_heads_are_compared_by_what_they_say() -> None:
    """Not by whether it is the same object: both may have been read."""
    late, again = (opened(HeadSigner(KEY).sign(replace(HEAD, generation=100_000)), KEYS) for _ in range(2))
    forked = replace(again, entries_sha256="0" * 64)

    assert accepted(again, last=late, environment="DEFAULT".lower()) == "accepted"
    assert accepted(forked, last=late) == "head_equivocation"


def pem_of(key: Any, encryption: Any = None) -> bytes:
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return data


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"rubbish",
        lambda: pem_of(ec.generate_private_key(ec.SECP256R1())),
        lambda: pem_of(ed448.Ed448PrivateKey.generate()),
        lambda: pem_of(KEY, BestAvailableEncryption(b"x")),
        lambda: KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "rubbish", "elliptic", "ed448", "encrypted", "public"],
)
def test_key_that_cannot_sign_heads_is_named_as_unusable(make: Callable[[], bytes]) -> None:
    with pytest.raises(Unavailable) as refused:
        HeadSigner.from_pem(make())

    assert refused.value.code == "head_key_unusable"


def test_keys_survive_their_files() -> None:
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert HeadSigner.from_pem(pem_of(KEY)).key_id == key_id(public_key_from_pem(public))


@pytest.mark.parametrize("data", [b"", b"rubbish", pem_of(KEY)])
def test_pinned_key_that_is_no_public_key_is_named_as_unusable(data: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        public_key_from_pem(data)

    assert refused.value.code == "head_key_unusable"
