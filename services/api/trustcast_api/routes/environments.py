"""`/v1/environments`: what there is, and each truststore for people, for listeners and as a file."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Rejected
from trustcast.keystore import jks
from trustcast.storage import environments, gateways, truststores
from trustcast_api import scopes
from trustcast_api.app_context import Context, context
from trustcast_api.asking_first import AskingFirst
from trustcast_api.auth import holding, holding_or_own_gateway
from trustcast_api.change_environment import change_environment
from trustcast_api.enrol_gateways import enrol_what_waits
from trustcast_api.principal import Principal
from trustcast_api.read_changes import read_changes
from trustcast_api.routes.changing import Key, response
from trustcast_api.schemas import ChangesBody, Name, TruststoreBody
from trustcast_api.schemas_of_environments import (
    EnvironmentBody,
    EnvironmentList,
    EnvironmentName,
    EnvironmentRequest,
)

router = APIRouter(prefix="/v1/environments", tags=["environments"], route_class=AskingFirst)

LONGEST_WAIT_SECONDS = 60
_LOOK_EVERY_SECONDS = 0.1
_JKS = "application/x-java-keystore"
_SHORTEST_PASSWORD = 6  # keytool refuses to open anything shorter
Here = Annotated[Context, Depends(context)]
Reader = Annotated[Principal, Depends(holding(scopes.READ_ENVIRONMENTS))]
Administrator = Annotated[Principal, Depends(holding(scopes.ADMINISTER))]
OF_ITS_GATEWAYS = [Depends(holding_or_own_gateway(scopes.READ_TRUSTSTORES))]


@router.get("", summary="List environments", operation_id="listEnvironments")
def look(who: Reader, here: Here) -> EnvironmentList:
    """List the environments by name, and how each stands."""
    with here.database.reading() as transaction:
        found = environments.standings(transaction)
        return EnvironmentList(environments=[EnvironmentBody.of(one, for_=who) for one in found])


@router.get("/{name}", summary="Describe an environment", operation_id="getEnvironment")
def look_at(name: Name, who: Reader, here: Here) -> EnvironmentBody:
    """Describe one environment."""
    with here.database.reading() as transaction:
        return EnvironmentBody.of(environments.standing(transaction, name), for_=who)


@router.put(
    "/{name}",
    summary="Create or edit an environment",
    operation_id="putEnvironment",
    responses={201: {"model": EnvironmentBody}},
    response_model=EnvironmentBody,
)
def change(
    name: EnvironmentName, body: EnvironmentRequest, who: Administrator, here: Here, idempotency_key: Key = None
) -> Response:
    """Create an environment (201) or edit it (200); certificates go where they then belong."""
    answer = change_environment(
        here.database,
        name,
        type=body.type,
        description=body.description,
        who=who,
        idempotency_key=idempotency_key,
        at=here.now(),
    )
    if answer.status == HTTPStatus.CREATED:
        enrol_what_waits(here.database, here.settings.gateways_file)
        here.tokens.look_again()
    here.drainer.wake()
    return response(answer)


@router.get(
    "/{name}/truststore", summary="Describe a truststore", operation_id="getTruststore", dependencies=OF_ITS_GATEWAYS
)
def truststore(name: Name, here: Here) -> TruststoreBody:
    """Describe the truststore of an environment and who has it."""
    with here.database.reading() as transaction:
        status = truststores.status(transaction, name)
        entries = truststores.content(transaction, name).entries
        there = gateways.in_environment(transaction, name)
        return TruststoreBody.of(status, entries, there, truststores.noted(transaction, name), at=here.now())


@router.get(
    "/{name}/changes",
    summary="Follow the changes of a truststore",
    operation_id="getTruststoreChanges",
    dependencies=OF_ITS_GATEWAYS,
    responses={200: {"model": ChangesBody}},
)
async def changes(
    name: Name,
    here: Here,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0,
) -> Response:
    """Give the net change from generation `after` to the newest; with `wait`, hold the request until there is news."""
    until = time.monotonic() + wait
    # The news comes from another process and hints may be lost: look at the truth.
    while time.monotonic() < until and await run_in_threadpool(_generation, here, name) <= after:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    body = await run_in_threadpool(read_changes, here.database, name, after=after)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get(
    "/{name}/truststore.jks",
    summary="Download a truststore as JKS",
    operation_id="downloadTruststore",
    dependencies=OF_ITS_GATEWAYS,
    response_class=Response,
    responses={200: {"content": {_JKS: {"schema": {"type": "string", "contentMediaType": _JKS}}}}},
)
def as_jks(name: Name, here: Here, truststore_password: Annotated[str | None, Header()] = None) -> Response:
    """Give the truststore as a JKS file, sealed with the password of the header `Truststore-Password`."""
    if truststore_password is None or len(truststore_password) < _SHORTEST_PASSWORD:
        raise Rejected(
            "truststore_password",
            f"Send a password for it, {_SHORTEST_PASSWORD} characters or more, in the header Truststore-Password.",
            field="Truststore-Password",
        )
    with here.database.reading() as transaction:
        truststores.status(transaction, name)
        entries = [jks.trusted_entry(alias, der) for alias, der in truststores.certificates(transaction, name)]
    headers = {"Content-Disposition": f'attachment; filename="{name}.jks"', "Cache-Control": "no-store"}
    return Response(jks.write(entries, truststore_password), media_type=_JKS, headers=headers)


def _generation(here: Context, name: str) -> int:
    with here.database.reading() as transaction:
        return truststores.status(transaction, name).generation
