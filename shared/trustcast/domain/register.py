"""Who holds which alias, endpoint and certificate; decides whether a request may still take effect.

The decision falls once, where changes are applied, in the order of acceptance: whatever was stored when the
request came in may be gone by then, or taken.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trustcast.domain import alias as aliases
from trustcast.domain.errors import Conflict, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Holding:
    """One certificate as far as others can collide with it; `alias_key` is lower-case, `endpoint` in normal form.

    `rotates` is the alias key of the certificate whose place this one is to take. `alias` is how it is shown.
    """

    tenant_id: int
    alias_key: str
    endpoint: str
    fingerprint_sha256: str
    rotates: str | None = None
    alias: str = field(default="", compare=False)


class Register:
    """The holdings that matter to a batch of requests.

    `per_endpoint`: how many certificates an endpoint of each tenant may have, None: any number; one that a rotation
    brings beside another does not count. `tenants`: the ids of those tenants whose aliases could be the super tenant's
    on gateways.
    """

    def __init__(
        self,
        holdings: Iterable[Holding],
        *,
        per_endpoint: Mapping[int, int | None],
        tenants: Collection[int] = frozenset(),
    ) -> None:
        self._held: dict[tuple[int, str], Holding] = {}
        self._sharing: dict[tuple[int, str], dict[str, Holding]] = defaultdict(dict)
        self._per_endpoint = per_endpoint
        self._tenants = tenants
        for one in holdings:
            self._take(one)

    def held(self, tenant_id: int, alias_key: str) -> Holding | None:
        """Return who holds the alias now, None if nobody does."""
        return self._held.get((tenant_id, alias_key))

    def add(self, new: Holding) -> None:
        """Take `new` in, beside the one that it `rotates`, where it does.

        Raises `Conflict`: `alias_exists`, `alias_reserved`, `certificate_exists` or `endpoint_has_certificate`; for a
        rotation also `certificate_not_found`, `certificate_changed` or `rotation_under_way`.
        """
        if new.rotates is not None:
            self._check_rotation(new, new.rotates)
        self._check_alias(new)
        self._check_certificate(new)
        if new.rotates is None:
            self._check_endpoint(new)
        self._take(new)

    def replace(self, new: Holding, *, if_match: str | None = None) -> None:
        """Put another certificate in the place of the one that has this alias; the same one is no change.

        `if_match` is the SHA-256 of the certificate that the request was made to replace. Raises `PreconditionFailed`,
        or `Conflict`: `certificate_not_found`, `certificate_changed`, `certificate_exists` or `rotation_under_way`.
        """
        held = self.replaceable(new, if_match=if_match)
        self._put(held, new.fingerprint_sha256)

    def replaceable(self, new: Holding, *, if_match: str | None = None) -> Holding:
        """Return who holds the alias, if `new` may take its place. Raises what `replace` raises."""
        held = self.changeable(new.tenant_id, new.alias_key, if_match=if_match)
        if new.endpoint != held.endpoint:
            raise _changed()
        if new.fingerprint_sha256 != held.fingerprint_sha256:
            self._check_certificate(new)
        return held

    def finish(self, new: Holding, *, successor: str) -> None:
        """End a rotation: `new.alias_key` takes over the certificate of the alias key `successor`, which goes.

        Raises `Conflict`: `certificate_not_found`, `rotation_not_found` or `certificate_changed`.
        """
        held = self.finishable(new, successor=successor)
        self._let_go(new.tenant_id, successor)
        self._put(held, new.fingerprint_sha256)

    def finishable(self, new: Holding, *, successor: str) -> Holding:
        """Return who holds the alias, if its rotation may end now. Raises what `finish` raises."""
        held = self.held(new.tenant_id, new.alias_key)
        if held is None:
            raise _gone()
        beside = self._successor(new.tenant_id, successor, new.alias_key)
        if (beside.fingerprint_sha256, held.endpoint) != (new.fingerprint_sha256, new.endpoint):
            raise _changed()
        return held

    def changeable(self, tenant_id: int, alias_key: str, *, if_match: str | None = None) -> Holding:
        """Return who holds the alias, if that may change now.

        Raises `PreconditionFailed`, or `Conflict`: `certificate_not_found` or `rotation_under_way`.
        """
        held = self.held(tenant_id, alias_key)
        if held is None:
            raise _gone()
        check_match(held.fingerprint_sha256, if_match)
        if self._rotation_of(held) is not None:
            raise _under_way()
        return held

    def delete(self, tenant_id: int, alias_key: str) -> None:
        """Let one go. Raises what `changeable` raises."""
        self.changeable(tenant_id, alias_key)
        self._let_go(tenant_id, alias_key)

    def cancel(self, tenant_id: int, alias_key: str, *, rotates: str) -> None:
        """Let the one go that a rotation brought beside the alias key `rotates`. Raises `rotation_not_found`."""
        self._successor(tenant_id, alias_key, rotates)
        self._let_go(tenant_id, alias_key)

    def _rotation_of(self, held: Holding) -> Holding | None:
        if len(held.alias_key) > aliases.LONGEST_ROTATED:
            return None
        beside = self.held(held.tenant_id, aliases.following(held.alias_key))
        return beside if beside is not None and beside.rotates == held.alias_key else None

    def _successor(self, tenant_id: int, alias_key: str, rotates: str) -> Holding:
        beside = self.held(tenant_id, alias_key)
        if beside is None or beside.rotates != rotates:
            raise Conflict("rotation_not_found", "There is no rotation of this certificate any more.", field="alias")
        return beside

    def _put(self, held: Holding, fingerprint_sha256: str) -> None:
        self._take(replace(held, fingerprint_sha256=fingerprint_sha256))

    def _take(self, one: Holding) -> None:
        self._let_go(one.tenant_id, one.alias_key)
        self._held[one.tenant_id, one.alias_key] = one
        for value in (one.endpoint, one.fingerprint_sha256):
            self._sharing[one.tenant_id, value][one.alias_key] = one

    def _let_go(self, tenant_id: int, alias_key: str) -> None:
        gone = self._held.pop((tenant_id, alias_key), None)
        if gone is not None:
            for value in (gone.endpoint, gone.fingerprint_sha256):
                del self._sharing[tenant_id, value][alias_key]

    def _check_rotation(self, new: Holding, rotates: str) -> None:
        held = self.held(new.tenant_id, rotates)
        if held is None:
            raise _gone()
        if held.rotates is not None or self._rotation_of(held) is not None:
            raise _under_way()
        if held.endpoint != new.endpoint:
            raise _changed()

    def _check_alias(self, new: Holding) -> None:
        held = self.held(new.tenant_id, new.alias_key)
        if held == new:
            raise Conflict("alias_exists", "This very certificate is already trusted under this alias.", field="alias")
        if held is not None:
            raise Conflict(
                "alias_exists",
                "Another certificate has this alias; choose another alias, or replace that one with "
                f"PUT /v1/certificates/{held.alias or held.alias_key}: no gateway is without trust in between.",
                field="alias",
            )
        if new.tenant_id == aliases.SUPER_TENANT and aliases.tenant_named_by(new.alias_key) in self._tenants:
            raise Conflict(
                "alias_reserved",
                "This alias ends in the id of another tenant, and on gateways that tenant's certificates are named so; "
                "choose another alias.",
                field="alias",
            )

    def _check_certificate(self, new: Holding) -> None:
        same = next(iter(self._sharing[new.tenant_id, new.fingerprint_sha256]), None)
        if same is not None:
            raise Conflict(
                "certificate_exists",
                f"The same certificate is already trusted under the alias {same}; that one serves. "
                f"To put another in its place, PUT /v1/certificates/{same}.",
                field="certificate",
            )

    def _check_endpoint(self, new: Holding) -> None:
        beside = [one for one in self._sharing[new.tenant_id, new.endpoint].values() if one.rotates is None]
        limit = self._per_endpoint[new.tenant_id]
        if limit is not None and len(beside) >= limit:
            has = "a certificate," if limit == 1 else f"the {limit} certificates that it may have, one of them"
            raise Conflict(
                "endpoint_has_certificate",
                f"The endpoint already has {has} under the alias {beside[0].alias_key}. "
                f"Replace that one: PUT /v1/certificates/{beside[0].alias_key}; or have both trusted for a while: "
                f"POST /v1/certificates/{beside[0].alias_key}/rotation. "
                "For more at all times raise this tenant's certificates_per_endpoint, or, for every tenant that has "
                "none of its own, TRUSTCAST_CERTIFICATES_PER_ENDPOINT.",
                field="endpoint",
            )


def check_match(trusted_sha256: str, if_match: str | None) -> None:
    """Raise `PreconditionFailed` if a request names another certificate than the trusted one (RFC 9110, 13.1.1)."""
    if if_match is not None and if_match != trusted_sha256:
        raise PreconditionFailed(
            "precondition_failed",
            "Another certificate than the one named by If-Match has this alias now; look at it and decide again.",
            field="If-Match",
        )


def _gone() -> Conflict:
    return Conflict("certificate_not_found", "There is no certificate with this alias any more.", field="alias")


def _changed() -> Conflict:
    return Conflict(
        "certificate_changed",
        "The certificate with this alias is another one by now than when the request came in; look at it and decide "
        "again.",
        field="alias",
    )


def _under_way() -> Conflict:
    return Conflict(
        "rotation_under_way",
        "This certificate is being rotated; finish or cancel the rotation first.",
        field="alias",
    )
