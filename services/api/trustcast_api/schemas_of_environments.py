"""What the api says and hears of environments and tenants, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from trustcast.domain.environment import EnvironmentType
from trustcast.storage.tenants import OnExpiry
from trustcast_api import scopes
from trustcast_api.schemas import Prose, without_key

if TYPE_CHECKING:
    from trustcast.storage.environments import Standing
    from trustcast.storage.tenants import Tenant
    from trustcast_api.principal import Principal

# Spaces are in WSO2's own names: `Production and Sandbox`.
EnvironmentName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}$"), AfterValidator(without_key)
]
_LABEL = "[a-z0-9]([a-z0-9_-]*[a-z0-9])?"
Domain = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=255)]


_STANDING: dict[str, Any] = {
    "name": "Production and Sandbox",
    "type": "hybrid",
    "description": "Gateways in Frankfurt",
    "generation": 42,
    "entries": 117,
    "gateways": 4,
    "converged": True,
}
_TENANT: dict[str, Any] = {"domain": "pizza.example", "on_expiry": "keep"}


class EnvironmentRequest(BaseModel):
    """What an environment is to be; a description that is not given stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"type": "hybrid", "description": "Gateways in Frankfurt"}]}
    )
    type: EnvironmentType
    description: Prose | None = None


class EnvironmentBody(BaseModel):
    """An environment and how it stands; `converged`: each of its gateways has the newest generation.

    `entries`, of all tenants together, is null for whoever may not look at truststores.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_STANDING]})
    name: str
    type: EnvironmentType
    description: str
    generation: int
    entries: int | None
    gateways: int
    converged: bool

    @classmethod
    def of(cls, one: Standing, *, for_: Principal) -> EnvironmentBody:
        """Describe an environment."""
        return cls(
            name=one.environment.name,
            type=one.environment.type,
            description=one.environment.description,
            generation=one.generation,
            entries=one.entries if for_.holds(scopes.READ_TRUSTSTORES) else None,
            gateways=one.gateways,
            converged=one.in_sync == one.gateways,
        )


class EnvironmentList(BaseModel):
    """Every environment, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"environments": [_STANDING]}]})
    environments: list[EnvironmentBody]


class TenantRequest(BaseModel):
    """What a tenant is to be; `on_expiry` stays as it is where it is not given, and is `keep` for a new one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_TENANT]})
    domain: Domain
    on_expiry: OnExpiry | None = None


class TenantBody(BaseModel):
    """A tenant; `on_expiry` says what becomes of its certificates at their end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 7} | _TENANT]})
    id: int
    domain: str
    on_expiry: OnExpiry

    @classmethod
    def of(cls, one: Tenant) -> TenantBody:
        """Describe a tenant."""
        return cls(id=one.id, domain=one.domain, on_expiry=one.on_expiry)


class TenantPage(BaseModel):
    """One page of tenants by domain; `total` counts all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tenants": [{"id": 7} | _TENANT], "total": 1, "limit": 100, "offset": 0}]}
    )
    tenants: list[TenantBody]
    total: int
    limit: int
    offset: int
