"""Take a key store in as one batch: each entry becomes a request of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trustcast_api.accept_batch import accept_lines, begin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustcast.storage.batches import Batch
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal
    from trustcast_api.request import Line


def accept_keystore(here: Context, lines: Sequence[Line], *, who: Principal, idempotency_key: str | None) -> Batch:
    """Return the batch that the entries of a key store became, or became when they were sent before with the same key.

    Raises `KeyReusedError`, `Conflict("batch_under_way")` and `Unavailable`.
    """
    sha256 = _sha256(lines)
    asked = ["keystore", sha256]
    batch = accept_lines(
        here.database,
        begin(here.database, who=who, idempotency_key=idempotency_key, at=here.now(), asked=asked),
        lines,
        upto=len(lines),
        sha256=sha256,
        complete=True,
        who=who,
        at=here.now(),
        unregistered=here.settings.unregistered_endpoints,
        most_scheduled=here.settings.scheduled_per_tenant,
    )
    here.drainer.wake()
    return batch


def _sha256(lines: Sequence[Line]) -> str:
    """Of what is asked for: a key store's own bytes differ each time it is written."""
    asked = hashlib.sha256(b"keystore")
    for one in lines:
        fate = one.request.sha256() if one.request is not None else f"{one.alias} {one.problem and one.problem.code}"
        asked.update(f"{one.number} {fate}\n".encode())
    return asked.hexdigest()
