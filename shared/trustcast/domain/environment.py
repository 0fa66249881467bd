"""The types of environments, and which endpoints' certificates belong in them."""

from __future__ import annotations

from enum import StrEnum

from trustcast.domain.published_api import Role


class EnvironmentType(StrEnum):
    """What an environment's gateways call, as `Environments` in WSO2's api-manager.xml has it."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    HYBRID = "hybrid"

    @property
    def roles(self) -> frozenset[Role]:
        """The endpoints that gateways here call; hybrid ones call both."""
        return frozenset(Role) if self is EnvironmentType.HYBRID else frozenset({Role(self.value)})
