"""What the api says and hears of environments and tenants, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainValidator,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)

from trustcast.domain.environment import EnvironmentType
from trustcast.storage.tenants import OnExpiry
from trustcast_api import scopes
from trustcast_api.schemas import Prose, without_key

if TYPE_CHECKING:
    from trustcast.domain.policy import Policy
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
_POLICY: dict[str, Any] = {
    "certificates_per_endpoint": "unlimited",
    "allow_ca": True,
    "allow_server_ca": False,
    "allow_v1": False,
    "allow_not_yet_valid": True,
    "allow_short_keys": False,
    "allow_weak_signatures": False,
}
_TENANT: dict[str, Any] = {"domain": "pizza.example", "on_expiry": "keep", "policy": _POLICY}
_TENANT_REQUEST = _TENANT | {
    "policy": {"certificates_per_endpoint": "unlimited", "allow_server_ca": False, "allow_v1": None}
}


def _number_or_unlimited(value: object) -> object:
    """One error for both kinds; of a union each would tell its own."""
    if value == "unlimited" or (type(value) is int and 1 <= value < 2**31):
        return value
    raise ValueError('send a whole number from 1 to 2147483647, or "unlimited"')


PerEndpoint = Annotated[
    int | Literal["unlimited"],
    PlainValidator(_number_or_unlimited),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMaximum": 2**31, "minimum": 1},
                {"type": "string", "const": "unlimited"},
            ]
        }
    ),
]


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


class PolicyRequest(BaseModel):
    """What changes in a tenant's policy: what is not given stays as it is, null is the installation's again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_TENANT_REQUEST["policy"]]})
    certificates_per_endpoint: PerEndpoint | None = None
    allow_ca: StrictBool | None = None
    allow_server_ca: StrictBool | None = None
    allow_v1: StrictBool | None = None
    allow_not_yet_valid: StrictBool | None = None
    allow_short_keys: StrictBool | None = None
    allow_weak_signatures: StrictBool | None = None


class TenantRequest(BaseModel):
    """What a tenant is to be; `on_expiry` and `policy` stay as they are where they are not given.

    A new tenant's `on_expiry` is `keep`, and its policy the installation's.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_TENANT_REQUEST]})
    domain: Domain
    on_expiry: OnExpiry | None = None
    policy: PolicyRequest | None = None


class PolicyBody(BaseModel):
    """What a tenant accepts, whether it is its own policy or the installation's that says so."""

    model_config = ConfigDict(json_schema_extra={"examples": [_POLICY]})
    certificates_per_endpoint: PerEndpoint
    allow_ca: bool
    allow_server_ca: bool
    allow_v1: bool
    allow_not_yet_valid: bool
    allow_short_keys: bool
    allow_weak_signatures: bool


class TenantBody(BaseModel):
    """A tenant; `on_expiry` says what becomes of its certificates at their end, `policy` what comes in at all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 7} | _TENANT]})
    id: int
    domain: str
    on_expiry: OnExpiry
    policy: PolicyBody

    @classmethod
    def of(cls, one: Tenant, usual: Policy) -> TenantBody:
        """Describe a tenant; `usual` is the installation's policy."""
        policy = PolicyBody.model_validate(usual.with_settings(one.policy).settings())
        return cls(id=one.id, domain=one.domain, on_expiry=one.on_expiry, policy=policy)


class TenantPage(BaseModel):
    """One page of tenants by domain; `total` counts all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tenants": [{"id": 7} | _TENANT], "total": 1, "limit": 100, "offset": 0}]}
    )
    tenants: list[TenantBody]
    total: int
    limit: int
    offset: int
