"""What the api says and hears of published APIs, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trustcast.domain.published_api import Backends, EndpointKind, PublishedApi, normal_type
from trustcast_api.schemas import Name, Time

if TYPE_CHECKING:
    from trustcast.storage.apis import RegisteredApi

# Lengths and forms of these are the domain's to check, with a code and a sentence for each.
Url = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 2048})]
TypeName = Annotated[str, Field(examples=["HTTP/REST", "HTTP/SOAP", "WS"])]


_EXAMPLE: dict[str, Any] = {
    "name": "PizzaShack",
    "version": "1.0.0",
    "context": "/pizzashack",
    "provider": "admin",
    "type": "HTTP/REST",
    "endpoints": {
        "production": {"kind": "single", "urls": ["https://backend.example:8443/pizzas/{id}"]},
        "sandbox": None,
    },
}
_REGISTERED: dict[str, Any] = _EXAMPLE | {
    "id": "0f5a1b9c-6a0e-4c0e-9d5b-3f6b4f3f7a10",
    "created_at": "2026-11-23T12:00:00.000Z",
    "updated_at": "2026-11-23T12:00:00.000Z",
}


class BackendsBody(BaseModel):
    """An endpoint of an API: one URL, several that share the load, or several that stand in for one another.

    WSO2's `load_balance` is read as `load_balanced`.
    """

    model_config = ConfigDict(extra="forbid")
    kind: EndpointKind
    urls: list[Url]

    @classmethod
    def of(cls, one: Backends | None) -> BackendsBody | None:
        """Return it as JSON, None for an endpoint that the API does not have."""
        return None if one is None else cls(kind=one.kind, urls=list(one.urls))


class EndpointsBody(BaseModel):
    """What an API calls, by role; null where it has no endpoint of that role."""

    model_config = ConfigDict(extra="forbid")
    production: BackendsBody | None = None
    sandbox: BackendsBody | None = None


class ApiRequest(BaseModel):
    """An API as its publisher describes it. The types `HTTP` and `SOAP` are read as `HTTP/REST` and `HTTP/SOAP`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})
    name: Name
    version: Name
    context: Name
    provider: Name
    type: TypeName
    endpoints: EndpointsBody = EndpointsBody()

    def published(self) -> PublishedApi:
        """Return the API, unchecked."""
        return PublishedApi(
            name=self.name,
            version=self.version,
            context=self.context,
            provider=self.provider,
            type=normal_type(self.type),
            production=_backends(self.endpoints.production),
            sandbox=_backends(self.endpoints.sandbox),
        )


class ApiBody(ApiRequest):
    """A registered API."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REGISTERED]})
    id: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, one: RegisteredApi) -> ApiBody:
        """Describe an API."""
        api = one.api
        return cls(
            id=one.id,
            name=api.name,
            version=api.version,
            context=api.context,
            provider=api.provider,
            type=api.type,
            endpoints=EndpointsBody(production=BackendsBody.of(api.production), sandbox=BackendsBody.of(api.sandbox)),
            created_at=one.created_at,
            updated_at=one.updated_at,
        )


class ApiPage(BaseModel):
    """One page of APIs by name and version; `total` counts all that match."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"apis": [_REGISTERED], "total": 1, "limit": 100, "offset": 0}]}
    )
    apis: list[ApiBody]
    total: int
    limit: int
    offset: int


def _backends(body: BackendsBody | None) -> Backends | None:
    return None if body is None else Backends(body.kind, tuple(body.urls))
