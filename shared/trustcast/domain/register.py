"""Who holds which alias, endpoint and certificate; decides whether a request may still take effect.

The decision falls once, where changes are applied, in the order of acceptance: whatever was stored when the
request came in may be gone by then, or taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustcast.domain.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Holding:
    """One certificate as far as others can collide with it; `alias_key` is lower-case, `endpoint` in normal form."""

    tenant_id: int
    alias_key: str
    endpoint: str
    fingerprint_sha256: str


class Register:
    """The holdings that matter to a batch of requests. `per_endpoint`: how many certificates an endpoint may have."""

    def __init__(self, holdings: Iterable[Holding], *, per_endpoint: int | None) -> None:
        self._held = {(one.tenant_id, one.alias_key): one for one in holdings}
        self._per_endpoint = per_endpoint

    def add(self, new: Holding) -> None:
        """Take `new` in. Raises `Conflict`: `alias_exists`, `certificate_exists` or `endpoint_has_certificate`."""
        held = self._held.get((new.tenant_id, new.alias_key))
        if held == new:
            raise Conflict("alias_exists", "This very certificate is already trusted under this alias.", field="alias")
        if held is not None:
            raise Conflict(
                "alias_exists",
                "Another certificate has this alias; choose another alias or delete that one.",
                field="alias",
            )
        same = [one for one in self._of(new.tenant_id) if one.fingerprint_sha256 == new.fingerprint_sha256]
        if same:
            raise Conflict(
                "certificate_exists",
                f"The same certificate is already trusted under the alias {same[0].alias_key}; "
                "that one serves, or delete it first.",
                field="certificate",
            )
        beside = [one for one in self._of(new.tenant_id) if one.endpoint == new.endpoint]
        if self._per_endpoint is not None and len(beside) >= self._per_endpoint:
            raise Conflict(
                "endpoint_has_certificate",
                f"The endpoint already has a certificate, under the alias {beside[0].alias_key}; "
                "delete that one first, or raise TRUSTCAST_CERTIFICATES_PER_ENDPOINT.",
                field="endpoint",
            )
        self._held[new.tenant_id, new.alias_key] = new

    def delete(self, tenant_id: int, alias_key: str) -> None:
        """Let one go. Raises `Conflict("certificate_not_found")`."""
        if self._held.pop((tenant_id, alias_key), None) is None:
            raise Conflict("certificate_not_found", "There is no certificate with this alias any more.", field="alias")

    def _of(self, tenant_id: int) -> Iterable[Holding]:
        return (one for one in self._held.values() if one.tenant_id == tenant_id)
