"""What the tasks work with, made once per process."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from trustcast import broker
from trustcast.domain.policy import Policy
from trustcast.storage.session import Database
from trustcast_worker.one_at_a_time import OneAtATime
from trustcast_worker.truststore_cache import TruststoreCache

if TYPE_CHECKING:
    from trustcast.domain.head import HeadSigner
    from trustcast_worker.settings import Settings


@dataclass
class Context:
    """What tasks work with. Connections are made on first use, so that each forked child has its own."""

    settings: Settings
    signer: HeadSigner
    applying: OneAtATime = field(default_factory=OneAtATime)

    @cached_property
    def database(self) -> Database:
        """The database of this process."""
        return Database(self.settings.database())

    @cached_property
    def broker(self) -> broker.Broker:
        """The broker of this process."""
        return broker.connect(self.settings.broker(), self.settings.redis())

    @cached_property
    def truststores(self) -> TruststoreCache:
        """What this process last saw in each truststore."""
        return TruststoreCache()

    @cached_property
    def policy(self) -> Policy:
        """The rules for what comes in, where a tenant has none of its own."""
        return Policy(certificates_per_endpoint=self.settings.per_endpoint)

    @cached_property
    def name(self) -> str:
        """Name this process in leases; no two processes ever share one."""
        return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)
