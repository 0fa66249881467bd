"""Who is asking, and whether it is for them: FastAPI dependencies, async because FastAPI takes a thread for others.

A route says what it needs with `Depends(holding(scopes.…))`; a route without one of these dependencies is public, and
a test names those.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Rejected
from trustcast.storage import tenants
from trustcast_api.principal import ADMINISTRATOR, Principal
from trustcast_api.problems import ForbiddenError, UnauthenticatedError

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

    from trustcast_api.app_context import Context

_MAX_TOKEN = 8192
_BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE)  # RFC 6750, section 2.1, in any printable alphabet
_LONGEST_DOMAIN = 255


ForTenant = Annotated[str | None, Header(alias="Trustcast-Tenant")]


async def principal(request: Request, trustcast_tenant: ForTenant = None) -> Principal:
    """Return who sent this.

    The administrator may act for another tenant, by its domain in the header `Trustcast-Tenant`.
    Raises `UnauthenticatedError("unauthenticated")`, `ForbiddenError("forbidden")`, `Rejected("tenant_unknown")`.
    """
    context: Context = request.app.state.context
    address = request.client.host if request.client else None
    owner = await _owner(context, request.headers.getlist("authorization"), address)
    if owner is None:
        raise UnauthenticatedError("unauthenticated", "Send a valid token: `Authorization: Bearer …`.")
    owner = request.state.principal = replace(owner, address=address)
    if trustcast_tenant is not None:
        if ADMINISTRATOR not in owner.scopes:
            raise ForbiddenError("forbidden", "Only a token with trustcast:admin acts for another tenant.")
        if len(request.headers.getlist("trustcast-tenant")) > 1:
            raise Rejected("tenant_unknown", "Name one tenant.", field="Trustcast-Tenant")
        owner = replace(owner, tenant_id=await run_in_threadpool(_tenant, context, trustcast_tenant))
        request.state.principal = owner
    return owner


async def _owner(context: Context, authorizations: list[str], address: str | None) -> Principal | None:
    """Two headers are refused: what stands before us may have looked at the other one."""
    sent = _BEARER.fullmatch(authorizations[0]) if len(authorizations) == 1 else None
    return await context.tokens.owner(sent[1], address=address) if sent and len(sent[1]) <= _MAX_TOKEN else None


def _tenant(context: Context, domain: str) -> int:
    found = None
    if len(domain) <= _LONGEST_DOMAIN and domain.isprintable():
        with context.database.reading() as transaction:
            found = tenants.by_domain(transaction, domain)
    if found is None:
        raise Rejected("tenant_unknown", tenants.UNKNOWN_DOMAIN, field="Trustcast-Tenant")
    return found.id


@dataclass(frozen=True, slots=True)
class holding:  # noqa: N801 - used as a function: `Depends(holding(…))`
    """Let those pass who hold one of `scopes`. Raises `ForbiddenError("forbidden")`.

    It asks `principal` itself: one more dependency would cost each request tens of microseconds.
    """

    scopes: frozenset[str]

    async def __call__(self, request: Request, trustcast_tenant: ForTenant = None) -> Principal:
        """Return who passed."""
        return self.passed(await principal(request, trustcast_tenant))

    def passed(self, who: Principal) -> Principal:
        """Return who passed."""
        if not who.holds(self.scopes):
            raise ForbiddenError("forbidden", f"This needs a token with {_one_of(self.scopes)}.")
        return who


@dataclass(frozen=True, slots=True)
class holding_without_bounds(holding):  # noqa: N801
    """Let those pass, too, who hold one of `scopes`, but none who is bounded to some aliases.

    It is for what moves certificates whatever their aliases are. Raises `ForbiddenError`: `forbidden`,
    `apis_not_allowed`.
    """

    def passed(self, who: Principal) -> Principal:
        """Return who passed."""
        holding.passed(self, who)  # a dataclass with slots is no class that `super()` knows
        if who.alias_prefixes is not None:
            raise ForbiddenError(
                "apis_not_allowed",
                "This token is for certificates with some aliases; APIs decide where those with any alias go.",
            )
        return who


@dataclass(frozen=True, slots=True)
class holding_or_own_gateway:  # noqa: N801
    """Let those pass who hold one of `scopes`, and the gateways of the environment `name`."""

    scopes: frozenset[str]

    async def __call__(self, name: str, who: Annotated[Principal, Depends(principal)]) -> Principal:
        """Return who passed. Raises `ForbiddenError("forbidden")`."""
        if who.environment != name and not who.holds(self.scopes):
            if who.gateway is not None:
                raise ForbiddenError("forbidden", "A gateway's token reads its own environment and nothing else.")
            raise ForbiddenError(
                "forbidden",
                f"This needs a token with {_one_of(self.scopes)}, or that of one of its gateways.",
            )
        return who


async def own_gateway(name: str, who: Annotated[Principal, Depends(principal)]) -> Principal:
    """Let a gateway report as itself. Raises `ForbiddenError("forbidden")`."""
    if who.gateway is None or who.gateway != name:
        raise ForbiddenError("forbidden", "Only the gateway itself may report.")
    return who


Guard = holding | holding_or_own_gateway | Callable[[str, Principal], Awaitable[Principal]]


def guards(dependant: Dependant) -> Iterator[Guard]:
    """Give those of a route's dependencies that decide who passes."""
    for one in dependant.dependencies:
        if isinstance(one.call, holding | holding_or_own_gateway) or one.call is own_gateway:
            yield one.call
        yield from guards(one)


def _one_of(scopes: frozenset[str]) -> str:
    return f"{'one of the scopes' if len(scopes) > 1 else 'the scope'} {', '.join(sorted(scopes))}"
