"""The native HTTP API: routes translate, they decide nothing."""

from __future__ import annotations

from trustcast_api.routes import certificates, environments, gateways, health, operations, tokens

ALL = (certificates.router, operations.router, environments.router, gateways.router, tokens.router, health.router)
