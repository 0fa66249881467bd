"""The types of environments, as `Environments` in WSO2's api-manager.xml has them."""

from __future__ import annotations

from enum import StrEnum


class EnvironmentType(StrEnum):
    """Gateways that call production endpoints, sandbox endpoints, or both."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    HYBRID = "hybrid"
