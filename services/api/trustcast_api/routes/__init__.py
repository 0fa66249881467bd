"""The native HTTP API: routes translate, they decide nothing."""

from __future__ import annotations

from trustcast_api.routes import (
    apis,
    audit,
    batches,
    certificates,
    environments,
    gateways,
    health,
    operations,
    rotations,
    tenants,
    tokens,
)

ALL = (
    batches.router,
    certificates.router,
    rotations.router,
    operations.router,
    apis.router,
    environments.router,
    gateways.router,
    tenants.router,
    tokens.router,
    audit.router,
    health.router,
)
