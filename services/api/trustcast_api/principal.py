"""Who sent a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from trustcast.storage.audit import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A token's owner. `name` is unique among all principals: `admin`, `token:…`, `oidc:…` or `gateway:…`.

    `alias_prefixes` (lower-case) bound the aliases that may be changed; None: any. A gateway's own token names the
    gateway and its environment, and holds no scope.
    """

    name: str
    tenant_id: int
    scopes: frozenset[str]
    alias_prefixes: tuple[str, ...] | None = None
    gateway: str | None = None
    environment: str | None = None
    address: str | None = None

    @property
    def actor(self) -> Actor:
        """The same, as the audit chain names it."""
        return Actor(self.name, self.tenant_id, self.address)

    def acting_on(self, tenant_id: int) -> Actor:
        """The same where something of a tenant is changed that need not be its own: a token, a tenant itself."""
        return Actor(self.name, tenant_id, self.address)

    def holds(self, scopes: frozenset[str]) -> bool:
        """Tell whether one of `scopes` is held; the administrator holds every one."""
        return ADMINISTRATOR in self.scopes or bool(self.scopes & scopes)

    def may_name(self, alias: str) -> bool:
        """Tell whether this principal may change what has this alias."""
        return self.alias_prefixes is None or alias.lower().startswith(self.alias_prefixes)


ADMINISTRATOR = "trustcast:admin"
