"""Take a body of many lines in while it arrives: memory holds a chunk, and the client waits while that is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Rejected
from trustcast.storage.idempotency import KeyReusedError
from trustcast_api.accept_batch import Line, accept_lines, begin
from trustcast_api.body_limit import BULK, TooLargeError, TooSlowError
from trustcast_api.read_bulk import MAX_LINES, Lines, Raw, is_blank, read_line

if TYPE_CHECKING:
    from fastapi import Request

    from trustcast.storage.batches import Batch
    from trustcast_api.app_context import Context
    from trustcast_api.principal import Principal

CHUNK_LINES, CHUNK_BYTES = 500, 1024 * 1024
REASONS = {
    "bulk_empty": "There is nothing in the body; send one JSON object on each line.",
    "bulk_too_long": f"There are more than {MAX_LINES:,} lines; send those after the last one taken as another batch.",
    "body_too_large": "The body is larger than 64 MB; send the lines after the last one taken as another batch.",
    "body_too_slow": (
        "The body came too slowly, or its end never came. The lines that were taken go on; sent again with the same "
        "Idempotency-Key, so do the others."
    ),
}


class BrokenOffError(Exception):
    """The body was not taken to its end: `cause` says why; `batch` is what was taken, None if nothing was."""

    def __init__(self, batch: Batch | None, code: str) -> None:
        super().__init__(code)
        self.batch = batch
        self.cause = Rejected(code, REASONS[code])


async def accept_bulk(here: Context, request: Request, *, who: Principal, idempotency_key: str | None) -> Batch:
    """Return the batch of a body of NDJSON, every line of it on record; with a key go on where it broke off.

    Raises `BrokenOffError` (too large, too long, too slow), `Rejected("bulk_empty")`, `Conflict("batch_under_way")`,
    `KeyReusedError` and `Unavailable`.
    """
    bulk = _Bulk(here, who, idempotency_key)
    arrived, breaks = bytearray(), 0
    try:
        async for piece in request.stream():
            arrived += piece
            breaks += piece.count(b"\n")
            if len(arrived) >= CHUNK_BYTES or breaks >= CHUNK_LINES:
                await run_in_threadpool(bulk.take, bytes(arrived))
                arrived, breaks = bytearray(), 0
        await run_in_threadpool(bulk.take, bytes(arrived))
        return await run_in_threadpool(bulk.end)
    except TooLargeError:
        raise await run_in_threadpool(bulk.stopped, "body_too_large") from None
    except _TooManyLinesError:
        raise await run_in_threadpool(bulk.stopped, "bulk_too_long") from None
    except TooSlowError:
        raise BrokenOffError(bulk.batch, "body_too_slow") from None


class _TooManyLinesError(Exception):
    pass


class _Bulk:
    """One body on its way into its batch. What it does takes its time: it is called in threads, one after another."""

    def __init__(self, here: Context, who: Principal, idempotency_key: str | None) -> None:
        self._here, self._who, self._key = here, who, idempotency_key
        self._lines = Lines()
        self._pending: list[Line] = []
        self._size = 0
        self._upto, self._sha256 = 0, ""  # the last line that was looked at, and all bytes up to its end
        self._taken_before = 0
        self.batch: Batch | None = None

    def take(self, data: bytes) -> None:
        for raw in self._lines.feed(data):
            self._take(raw)

    def end(self) -> Batch:
        for raw in self._lines.end():
            self._take(raw)
        if self.batch is None:
            raise Rejected("bulk_empty", REASONS["bulk_empty"])
        if self._upto < self._taken_before or self.batch.problem is not None:
            raise KeyReusedError  # it ends earlier than the one that came with this key
        return self._commit(self.batch, complete=True)

    def stopped(self, code: str) -> BrokenOffError:
        """Take no more; what was taken stays."""
        if self.batch is not None and not self.batch.complete:
            self._commit(self.batch, complete=True, problem=Rejected(code, REASONS[code]))
        return BrokenOffError(self.batch, code)

    def _take(self, raw: Raw) -> None:
        if raw.number > MAX_LINES:
            raise _TooManyLinesError
        self._upto, self._sha256 = raw.number, self._lines.sha256()
        blank = is_blank(raw)
        if self.batch is None:
            if blank:
                return
            self.batch = begin(self._here.database, who=self._who, idempotency_key=self._key, at=self._here.now())
            self._taken_before = self.batch.lines
            if 0 < self._taken_before < raw.number:
                raise KeyReusedError  # what was taken before was not all blank
        if raw.number <= self._taken_before:
            if raw.number == self._taken_before and self._sha256 != self.batch.lines_sha256:
                raise KeyReusedError
            return
        if self.batch.complete:
            self._more_than_before(self.batch)
            return
        if not blank:
            self._pending.append(read_line(raw))
            self._size += len(raw.data or b"")
        if len(self._pending) >= CHUNK_LINES or self._size >= CHUNK_BYTES:
            self._commit(self.batch, complete=False)

    @staticmethod
    def _more_than_before(batch: Batch) -> None:
        """A batch that was stopped is stopped at the same place when it is sent again; another had no more lines."""
        if batch.problem is None:
            raise KeyReusedError

    def _commit(self, batch: Batch, *, complete: bool, problem: Rejected | None = None) -> Batch:
        lines, self._pending, self._size = self._pending, [], 0
        self.batch = accept_lines(
            self._here.database,
            batch,
            lines,
            upto=self._upto,
            sha256=self._sha256,
            complete=complete,
            who=self._who,
            at=self._here.now(),
            unregistered=self._here.settings.unregistered_endpoints,
            problem=problem,
        )
        self._here.drainer.wake()
        if any(one.problem is not None and one.problem.code == "private_key" for one in lines):
            facts = {"code": "private_key", "status": 400, "method": "POST", "route": BULK[1], "batch": batch.id}
            self._here.refusals.record(self._who.actor, facts)
        return self.batch
