"""The api's OpenAPI 3.1 document: what the routes say of themselves, and which scopes open each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from trustcast_api import openapi_answers, openapi_parameters
from trustcast_api.auth import guards, holding, holding_or_own_gateway
from trustcast_api.body import MAX_BODY_BYTES
from trustcast_api.principal import ADMINISTRATOR
from trustcast_api.search_json import MOST_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant

_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made with POST /v1/tokens, the administrator's, or a JWT of the OpenID provider.",
    },
    "gateway": {"type": "http", "scheme": "bearer", "description": "The token of this gateway, or of one in there."},
}
_TAGS = [
    {"name": name, "description": description}
    for name, description in {
        "certificates": "What the gateways trust: add, replace, rotate, delete, look. Every change is an operation.",
        "operations": "What was asked for, how it was decided, and which gateways have it.",
        "batches": "Many certificates in one body, and what became of each line.",
        "apis": "The published APIs, whose endpoints say in which environments a certificate belongs.",
        "environments": "Groups of gateways that share one truststore.",
        "gateways": "What listeners report of their gateways.",
        "tenants": "Who owns APIs and certificates; the administrator's.",
        "tokens": "Who else may speak; the administrator's.",
        "audit": "Who did what, and who was refused; the administrator's.",
        "health": "Whether the process lives, and whether it can accept requests; for everybody.",
        "publisher": "The routes of WSO2's Publisher for endpoint certificates, for tools that know those.",
    }.items()
]
_JSON_BODY = f"At most {MAX_BODY_BYTES // 1024} KB and {MOST_VALUES:,} values; names, lists and objects count as well."
_OWN_GATEWAY: dict[str, list[str]] = {"gateway": []}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once.

    `security` names one alternative for each scope that is enough (OpenAPI 3.1 allows roles there); for whom nothing
    is needed it is empty.
    """
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes, tags=_TAGS)
        made["components"]["securitySchemes"] = _SCHEMES
        made["components"]["schemas"]["Problem"] = openapi_answers.SCHEMA
        for route in iter_route_contexts(app.routes):
            if isinstance(route.original_route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    operation = made["paths"][route.path_format][method.lower()]
                    operation["security"] = list(_alternatives(route.dependant))
                    openapi_answers.complete(operation["responses"])
                    openapi_parameters.describe(operation)
                    if "application/json" in operation.get("requestBody", {}).get("content", {}):
                        operation["requestBody"]["description"] = _JSON_BODY
        app.openapi_schema = made
    return app.openapi_schema


def _alternatives(dependant: Dependant) -> Iterator[dict[str, list[str]]]:
    for guard in guards(dependant):
        if isinstance(guard, holding | holding_or_own_gateway):
            yield from ({"token": [scope]} for scope in sorted(guard.scopes | {ADMINISTRATOR}))
        if not isinstance(guard, holding):
            yield _OWN_GATEWAY
