"""What the api says of tokens, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from trustcast_api import scopes
from trustcast_api.create_token import NewToken
from trustcast_api.schemas import Moment, Name, Time

if TYPE_CHECKING:
    from trustcast.storage.tokens import Token

AliasPrefix = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$", to_lower=True)]


_EXAMPLE: dict[str, Any] = {
    "id": "0b9a6a0e-6a5e-4f0e-9d0f-3a3f7f1d2c11",
    "name": "build server",
    "tenant": "carbon.super",
    "scopes": ["apim:ep_certificates_manage"],
    "alias_prefixes": ["billing-"],
    "created_by": "admin",
    "created_at": "2026-11-23T12:00:00.123Z",
    "expires_at": "2027-01-31T00:00:00.000Z",
    "revoked_at": "2026-12-24T18:00:00.000Z",  # FastAPI leaves None out of examples
}


class NewTokenBody(BaseModel):
    """A token to be made; `token_sha256` is the SHA-256 of its text in hexadecimal, `tenant` a domain."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "build server",
                    "tenant": "carbon.super",
                    "scopes": ["apim:ep_certificates_manage"],
                    "alias_prefixes": ["billing-"],
                    "expires_at": "2027-01-31T00:00:00Z",
                    "token_sha256": "d2" * 32,
                }
            ]
        },
    )

    name: Name
    tenant: Name = "carbon.super"
    scopes: list[Name] = Field(min_length=1, max_length=len(scopes.ALL))
    alias_prefixes: list[AliasPrefix] | None = Field(default=None, max_length=100)
    expires_at: Moment
    token_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    def asked(self) -> NewToken:
        """The same, as the use case takes it."""
        prefixes = None if self.alias_prefixes is None else tuple(self.alias_prefixes)
        return NewToken(
            name=self.name,
            tenant=self.tenant,
            scopes=frozenset(self.scopes),
            alias_prefixes=prefixes,
            expires_at=self.expires_at,
            token_sha256=self.token_sha256,
        )


class TokenBody(BaseModel):
    """A token as everybody may see it who may make one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    name: str
    tenant: str
    scopes: list[str]
    alias_prefixes: list[str] | None
    created_by: str
    created_at: Time
    expires_at: Time
    revoked_at: Time | None

    @classmethod
    def of(cls, one: Token, domain: str) -> TokenBody:
        """Describe a token."""
        return cls(
            id=one.id,
            name=one.name,
            tenant=domain,
            scopes=list(one.scopes),
            alias_prefixes=None if one.alias_prefixes is None else list(one.alias_prefixes),
            created_by=one.created_by,
            created_at=one.created_at,
            expires_at=one.expires_at,
            revoked_at=one.revoked_at,
        )


class TokenPage(BaseModel):
    """One page of tokens, newest first; `total` counts all, the expired and revoked ones, too."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tokens": [_EXAMPLE], "total": 1, "limit": 100, "offset": 0}]}
    )

    tokens: list[TokenBody]
    total: int
    limit: int
    offset: int
