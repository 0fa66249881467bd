"""`/v1/tokens`: who else may speak. The administrator makes tokens for every tenant, sees them and takes them back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from trustcast.storage import tokens
from trustcast.storage.tokens import Token
from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.create_token import NewToken, create_token
from trustcast_api.once import Answer, once, use_of
from trustcast_api.principal import Principal
from trustcast_api.revoke_token import revoke_token
from trustcast_api.routes.changing import Key, response
from trustcast_api.schemas import Moment, Name, Time

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=AskingFirst)

Administrator = Annotated[Principal, Depends(holding(scopes.ADMINISTER))]
Here = Annotated[Context, Depends(context)]
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


@router.post("", summary="Make a token", operation_id="createToken", status_code=201, response_model=TokenBody)
def create(body: NewTokenBody, who: Administrator, here: Here, idempotency_key: Key = None) -> Response:
    """Make a token whose text only the caller knows; its hash is what is sent."""
    at = here.now()
    asked = body.model_dump(mode="json")
    answer = once(
        here.database,
        use_of(who, idempotency_key, "token", asked),
        lambda transaction: _created(*create_token(transaction, body.asked(), who=who, at=at)),
        at=at,
    )
    here.tokens.look_again()
    return response(answer)


@router.get("", summary="List tokens", operation_id="listTokens")
def look(
    _who: Administrator,
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> TokenPage:
    """List the tokens of all tenants."""
    with here.database.reading() as transaction:
        found, total = tokens.page(transaction, limit=limit, offset=offset)
    return TokenPage(tokens=[TokenBody.of(*one) for one in found], total=total, limit=limit, offset=offset)


@router.get("/{id}", summary="Describe a token", operation_id="getToken")
def look_at(id: Name, _who: Administrator, here: Here) -> TokenBody:  # noqa: A002 - the name in the contract
    """Describe one token."""
    with here.database.reading() as transaction:
        return TokenBody.of(*tokens.get(transaction, id))


@router.delete("/{id}", summary="Revoke a token", operation_id="revokeToken", status_code=204)
def revoke(id: Name, who: Administrator, here: Here, idempotency_key: Key = None) -> Response:  # noqa: A002
    """Take a token back, at once; it stays on record."""
    at = here.now()

    def work(transaction: Connection) -> Answer:
        revoke_token(transaction, id, who=who, at=at)
        return Answer(204)

    answer = once(here.database, use_of(who, idempotency_key, "token.revoke", id), work, at=at)
    here.tokens.look_again()
    return response(answer)


def _created(made: Token, domain: str) -> Answer:
    body = TokenBody.of(made, domain).model_dump(mode="json")
    return Answer(201, body, {"Location": f"/v1/tokens/{made.id}"})
