"""The head: the signed statement "environment E is at generation N, its entries hash to D".

A head travels as a DSSE envelope (Dead Simple Signing Envelope 1.0, protocol.md) in JSON, signed with Ed25519
(RFC 8032). The payload is canonical JSON: sorted keys, no white space, ASCII. Times are RFC 3339, UTC, milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from trustcast.domain.errors import Unavailable, Untrusted

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOAD_TYPE = "application/vnd.trustcast.head+json"
LIFETIME = timedelta(minutes=10)
MAX_ENVELOPE_BYTES = 16 * 1024
T = TypeVar("T")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed. `entries` counts them; hashes are SHA-256 in lower-case hexadecimal.

    `previous_head_sha256` is the hash of the payload that was signed before this one for the environment,
    None for the first. Times are aware, in UTC, whole milliseconds.
    """

    environment: str
    generation: int
    entries: int
    entries_sha256: str
    previous_head_sha256: str | None
    issued_at: datetime
    expires_at: datetime

    def payload(self) -> bytes:
        """Return the canonical JSON that is signed."""
        fields = {
            "environment": self.environment,
            "generation": self.generation,
            "entries": self.entries,
            "entries_sha256": self.entries_sha256,
            "previous_head_sha256": self.previous_head_sha256,
            "issued_at": _rfc3339(self.issued_at),
            "expires_at": _rfc3339(self.expires_at),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")

    def sha256(self) -> str:
        """Hash of the payload, as the next head names it."""
        return hashlib.sha256(self.payload()).hexdigest()


class HeadSigner:
    """Signs heads with one Ed25519 key; only the worker holds it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    @classmethod
    def from_pem(cls, pem: bytes) -> HeadSigner:
        """Read an unencrypted PKCS#8 key. Raises `Unavailable("head_key_unusable")` for anything but Ed25519."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Unavailable("head_key_unusable", "The head key is not an unencrypted Ed25519 key in PKCS#8 PEM.")
        return cls(key)

    def sign(self, head: Head) -> bytes:
        """Return the DSSE envelope as JSON."""
        payload = head.payload()
        signature = self._key.sign(_pre_authentication_encoding(payload))
        envelope = {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode("ascii")}],
        }
        return json.dumps(envelope, separators=(",", ":")).encode("ascii")


def public_key_from_pem(pem: bytes) -> Ed25519PublicKey:
    """Read a SubjectPublicKeyInfo PEM. Raises `Unavailable("head_key_unusable")` for anything but Ed25519."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Unavailable("head_key_unusable", "The pinned head key is not an Ed25519 public key in PEM.")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the 32 raw key bytes, in lower-case hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def opened(envelope: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Head:
    """Return the head inside `envelope` if one of `keys` (by key id) signed it.

    Nothing of the payload is looked at before the signature is verified. Raises `Untrusted` with
    `head_malformed`, `head_unknown_key` or `head_bad_signature`.
    """
    payload, signatures = _unwrapped(envelope)
    known = [(keys[keyid], signature) for keyid, signature in signatures if keyid in keys]
    if not known:
        raise Untrusted("head_unknown_key", "The head is signed by no key that this gateway has pinned.")
    try:
        for key, signature in known:
            key.verify(signature, _pre_authentication_encoding(payload))
    except InvalidSignature:
        raise Untrusted("head_bad_signature", "The head's signature does not verify.") from None
    return _head(payload)


def accept(head: Head, *, environment: str, at: datetime, last: Head | None) -> None:
    """Refuse a genuine head that is not for us or not news: another environment, a step back, a fork, too old.

    `last` is the last head that was verified here. Raises `Untrusted` with `head_wrong_environment`, `head_rollback`,
    `head_equivocation` or `head_expired`.
    """
    if head.environment != environment:
        raise Untrusted("head_wrong_environment", "The head is for another environment.")
    if last is not None and head.generation < last.generation:
        raise Untrusted(
            "head_rollback",
            f"The head is at generation {head.generation}, but {last.generation} was verified here before.",
        )
    if last is not None and head.generation == last.generation and head.entries_sha256 != last.entries_sha256:
        raise Untrusted("head_equivocation", f"Generation {head.generation} was signed with two different contents.")
    if head.expires_at <= at:
        raise Untrusted(
            "head_expired",
            f"The head expired at {_rfc3339(head.expires_at)}: the worker is not signing, "
            "somebody holds newer heads back, or this clock is wrong.",
        )


def _pre_authentication_encoding(payload: bytes) -> bytes:
    """DSSE's PAE: `DSSEv1 SP len(type) SP type SP len(body) SP body`."""
    kind = PAYLOAD_TYPE.encode("ascii")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _unwrapped(envelope: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    malformed = Untrusted("head_malformed", "The head is not a DSSE envelope of a Trustcast head.")
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise malformed
    try:
        outer = json.loads(envelope)
        payload = base64.b64decode(outer["payload"], validate=True)
        signatures = [(str(s["keyid"]), base64.b64decode(s["sig"], validate=True)) for s in outer["signatures"]]
        kind = outer["payloadType"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise malformed from None
    if kind != PAYLOAD_TYPE or not signatures or len({keyid for keyid, _ in signatures}) != len(signatures):
        raise malformed
    return payload, signatures


def _head(payload: bytes) -> Head:
    """Decode a payload whose signature is good; a field more than we know is allowed, a field less is not."""
    try:
        fields: dict[str, Any] = json.loads(payload)
        head = Head(
            environment=_checked(fields["environment"], str),
            generation=_checked(fields["generation"], int),
            entries=_checked(fields["entries"], int),
            entries_sha256=_hash(fields["entries_sha256"]),
            previous_head_sha256=_hash(fields["previous_head_sha256"])
            if fields["previous_head_sha256"] is not None
            else None,
            issued_at=_time(fields["issued_at"]),
            expires_at=_time(fields["expires_at"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Untrusted("head_malformed", "The head is signed, but its payload is not a Trustcast head.") from None
    if head.generation < 1 or head.entries < 0:
        raise Untrusted("head_malformed", "The head is signed, but its numbers make no sense.")
    return head


def _checked(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _hash(value: object) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str) or not value.endswith("Z"):
        raise ValueError
    return datetime.fromisoformat(value).astimezone(UTC)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
