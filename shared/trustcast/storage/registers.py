"""The register of who holds what, as far as some requests matter, and what a request does to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain.operation import Kind
from trustcast.domain.register import Holding, Register
from trustcast.storage import certificates, tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from trustcast.domain.policy import Policy
    from trustcast.storage.operations import Operation


def of(transaction: Connection, operations: Sequence[Operation], policies: Mapping[int, Policy]) -> Register:
    """Return the register of what could collide with these operations; `policies` are those of their tenants."""
    named = {key for one in operations for key in (one.alias_key, one.rotation) if key}
    held = certificates.holdings(
        transaction,
        tenants=[one.tenant_id for one in operations],
        alias_keys=named | {aliases.following(key) for key in named if len(key) <= aliases.LONGEST_ROTATED},
        endpoints=[one.endpoint for one in operations if one.endpoint],
        fingerprints=[one.fingerprint_sha256 for one in operations if one.fingerprint_sha256],
    )
    per_endpoint = {tenant_id: policy.certificates_per_endpoint for tenant_id, policy in policies.items()}
    like_anothers = any(aliases.tenant_named_by(key) is not None for key in named)
    return Register(held, per_endpoint=per_endpoint, tenants=tenants.ids(transaction) if like_anothers else ())


def change(register: Register, one: Operation, *, check_not_needed: Callable[[Operation], None]) -> None:
    """Let one operation take effect. Raises `Conflict`, and nothing has changed.

    `check_not_needed` raises it for what lets a certificate go that APIs need.
    """
    key = (one.tenant_id, one.alias_key)
    new = Holding(*key, one.endpoint or "", one.fingerprint_sha256 or "", alias=one.alias)
    match one.kind, one.rotation:
        case Kind.ADD, rotates:
            register.add(replace(new, rotates=rotates))
        case Kind.REPLACE, None:
            register.replaceable(new, if_match=one.if_match)
            check_not_needed(one)
            register.replace(new, if_match=one.if_match)
        case Kind.REPLACE, str(successor):
            register.finishable(new, successor=successor)
            check_not_needed(one)
            register.finish(new, successor=successor)
        case Kind.DELETE, None:
            register.changeable(*key, if_match=one.if_match)
            check_not_needed(one)
            register.delete(*key)
        case Kind.DELETE, str(rotates):
            register.cancel(*key, rotates=rotates)
