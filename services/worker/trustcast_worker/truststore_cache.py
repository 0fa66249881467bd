"""What this process last saw in each truststore, so that a change costs what changed and not what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustcast.storage import truststores

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trustcast.domain.truststore import Truststore


class TruststoreCache:
    """Contents by environment and generation. What is remembered holds while its digest is the stored one."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, Truststore]] = {}

    def current(self, transaction: Connection, environment: str) -> tuple[int, Truststore]:
        """Return the environment's generation and content, reading only what changed since the last look."""
        status = truststores.status(transaction, environment)
        seen = self._seen.get(environment)
        content = seen[1] if seen is not None and seen[0] == status.generation else None
        if seen is not None and seen[0] < status.generation:
            content = seen[1].apply(truststores.changes(transaction, environment, after=seen[0]))
        # A restored backup may count to the same generation by another way; the digest tells.
        if content is None or content.digest() != status.entries_sha256:
            content = truststores.content(transaction, environment)
        self._seen[environment] = (status.generation, content)
        return self._seen[environment]

    def advanced(self, environment: str, generation: int, content: Truststore) -> None:
        """Remember what was committed; call it after the commit, never before."""
        self._seen[environment] = (generation, content)
