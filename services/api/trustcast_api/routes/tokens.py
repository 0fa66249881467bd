"""`/v1/tokens`: who else may speak. The administrator makes tokens for every tenant, sees them and takes them back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Connection

from trustcast.storage import tokens
from trustcast.storage.tokens import Token
from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding
from trustcast_api.create_token import create_token
from trustcast_api.once import Answer, once, use_of
from trustcast_api.principal import Principal
from trustcast_api.revoke_token import revoke_token
from trustcast_api.routes.changing import Key, response
from trustcast_api.schemas import Name
from trustcast_api.schemas_of_tokens import NewTokenBody, TokenBody, TokenPage

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=AskingFirst)

Administrator = Annotated[Principal, Depends(holding(scopes.ADMINISTER))]
Here = Annotated[Context, Depends(context)]


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
