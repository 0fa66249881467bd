"""Take a body of many lines in while it arrives: memory holds a chunk, and the client waits while that is committed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from trustcast.domain.errors import Rejected
from trustcast.storage.idempotency import KeyReusedError
from trustcast_api.accept_batch import accept_lines, begin
from trustcast_api.body_limit import BULK, TooLargeError, TooSlowError
from trustcast_api.read_bulk import MAX_LINES, Lines, Raw, is_blank
from trustcast_api.reading.readings import LINES
from trustcast_api.request import Line

if TYPE_CHECKING:
    from concurrent.futures import Future

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
_NOTHING_TAKEN = "The body came too slowly, or its end never came. No line of it was taken; send it again."


class BrokenOffError(Exception):
    """The body was not taken to its end: `cause` says why; `batch` is what was taken, None if nothing was."""

    def __init__(self, batch: Batch | None, code: str) -> None:
        super().__init__(code)
        self.batch = batch
        taken = batch is not None and batch.lines > 0
        self.cause = Rejected(code, REASONS[code] if taken or code != "body_too_slow" else _NOTHING_TAKEN)


async def accept_bulk(here: Context, request: Request, *, who: Principal, idempotency_key: str | None) -> Batch:
    """Return the batch of a body of NDJSON, every line of it on record; with a key go on where it broke off.

    While a chunk is committed, which may wait for the worker's transactions, the next one is read, and no more.
    Raises `BrokenOffError` (too large, too long, too slow), `Rejected("bulk_empty")`, `Conflict("batch_under_way")`,
    `KeyReusedError` and `Unavailable`.
    """
    bulk, commits = _Bulk(here, who, idempotency_key), _Commits()
    arrived, breaks = bytearray(), 0
    try:
        try:
            async for piece in request.stream():
                arrived += piece
                breaks += piece.count(b"\n")
                if len(arrived) >= CHUNK_BYTES or breaks >= CHUNK_LINES:
                    chunks = await run_in_threadpool(bulk.read, bytes(arrived))
                    await commits.follow(bulk.commit, chunks)
                    arrived, breaks = bytearray(), 0
            chunks = await run_in_threadpool(bulk.read_to_the_end, bytes(arrived))
        finally:
            await commits.settled()
        return await run_in_threadpool(bulk.complete, chunks)
    except TooLargeError:
        raise await run_in_threadpool(bulk.stopped, "body_too_large") from None
    except _TooManyLinesError:
        raise await run_in_threadpool(bulk.stopped, "bulk_too_long") from None
    except TooSlowError:
        raise BrokenOffError(bulk.batch, "body_too_slow") from None


class _TooManyLinesError(Exception):
    pass


class _Commits:
    """Commits that follow one another, one at a time, beside what else is done."""

    def __init__(self) -> None:
        self._last: asyncio.Task[None] | None = None

    async def follow(self, commit: Callable[[Sequence[_Chunk]], None], chunks: Sequence[_Chunk]) -> None:
        """Begin once the last one is through. Raises what that one raised."""
        await self.settled()
        self._last = asyncio.create_task(run_in_threadpool(commit, chunks))

    async def settled(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            await last


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Lines to be committed together, the number of the last one, and the SHA-256 of all bytes up to its end."""

    raws: list[Raw]
    upto: int
    sha256: str
    lines: Future[list[Line]] | None = None  # once it is full they are being read


class _Bulk:
    """One body on its way into its batch. What it does takes its time: it is called in threads.

    `read…` and `commit` may run beside each other; `batch` is what was committed.
    """

    def __init__(self, here: Context, who: Principal, idempotency_key: str | None) -> None:
        self._here, self._who, self._key = here, who, idempotency_key
        self._lines = Lines()
        self._full: list[_Chunk] = []
        self._chunk = _Chunk([], 0, "")
        self._size = 0
        self._earlier: Batch | None = None  # as it was when this body came
        self.batch: Batch | None = None

    def read(self, data: bytes) -> list[_Chunk]:
        """Return the chunks that are full by now."""
        for raw in self._lines.feed(data):
            self._take(raw)
        return self._full_ones()

    def read_to_the_end(self, data: bytes) -> list[_Chunk]:
        """Return the last chunks. Raises `Rejected("bulk_empty")`, `KeyReusedError`."""
        for raw in itertools.chain(self._lines.feed(data), self._lines.end()):
            self._take(raw)
        if self._earlier is None:
            raise Rejected("bulk_empty", REASONS["bulk_empty"])
        if self._chunk.upto < self._earlier.lines or self._earlier.problem is not None:
            raise KeyReusedError  # it ends earlier than the one that came with this key
        return self._full_ones()

    def commit(self, chunks: Sequence[_Chunk]) -> None:
        for one in chunks:
            self._commit(one, complete=False)

    def complete(self, chunks: Sequence[_Chunk]) -> Batch:
        """Commit what is left."""
        self.commit(chunks)
        return self._commit(self._closed(), complete=True)

    def stopped(self, code: str) -> BrokenOffError:
        """Take no more; what was taken stays."""
        if self.batch is not None and not self.batch.complete:
            self.commit(self._full_ones())
            self._commit(self._closed(), complete=True, problem=Rejected(code, REASONS[code]))
        return BrokenOffError(self.batch, code)

    def _full_ones(self) -> list[_Chunk]:
        full, self._full = self._full, []
        return full

    def _take(self, raw: Raw) -> None:
        if raw.number > MAX_LINES:
            raise _TooManyLinesError
        self._chunk = replace(self._chunk, upto=raw.number, sha256=self._lines.sha256())
        blank = is_blank(raw)
        if self._earlier is None:
            if blank:
                return
            self._begin(raw)
        elif raw.number == self._earlier.lines and self._chunk.sha256 != self._earlier.lines_sha256:
            raise KeyReusedError
        if self._is_known(raw) or blank:
            return
        self._chunk.raws.append(raw)
        self._size += len(raw.data or b"")
        if len(self._chunk.raws) >= CHUNK_LINES or self._size >= CHUNK_BYTES:
            self._full.append(self._closed())

    def _closed(self) -> _Chunk:
        """Return the chunk that was filled, and begin the next one."""
        closed = replace(self._chunk, lines=self._here.batch_reader.submit(LINES, self._chunk.raws, size=self._size))
        self._chunk, self._size = replace(self._chunk, raws=[]), 0
        return closed

    def _read(self, chunk: _Chunk) -> list[Line]:
        assert chunk.lines is not None  # noqa: S101 - it is closed
        try:
            return chunk.lines.result()
        except Rejected:
            return [self._read_alone(one) for one in chunk.raws]  # one that cannot be read stops no other

    def _read_alone(self, raw: Raw) -> Line:
        try:
            (line,) = self._here.batch_reader.submit(LINES, [raw], size=CHUNK_BYTES).result()
        except Rejected as refused:
            return Line(raw.number, None, problem=refused)
        return line

    def _begin(self, first: Raw) -> None:
        begun = begin(self._here.database, who=self._who, idempotency_key=self._key, at=self._here.now())
        self._earlier = self.batch = begun
        if 0 < begun.lines < first.number or (begun.lines == first.number and begun.lines_sha256 != self._chunk.sha256):
            raise KeyReusedError

    def _is_known(self, raw: Raw) -> bool:
        """Tell whether an earlier request with the key brought this line, or was stopped before it."""
        earlier = self._earlier
        if earlier is None or raw.number <= earlier.lines:
            return earlier is not None
        if earlier.complete and earlier.problem is None:
            raise KeyReusedError  # there was no such line
        return earlier.complete

    def _commit(self, chunk: _Chunk, *, complete: bool, problem: Rejected | None = None) -> Batch:
        assert self.batch is not None  # noqa: S101 - begun with the first line
        lines = self._read(chunk)
        self.batch = accept_lines(
            self._here.database,
            self.batch,
            lines,
            upto=chunk.upto,
            sha256=chunk.sha256,
            complete=complete,
            who=self._who,
            at=self._here.now(),
            unregistered=self._here.settings.unregistered_endpoints,
            problem=problem,
        )
        self._here.drainer.wake()
        if any(one.problem is not None and one.problem.code == "private_key" for one in lines):
            facts = {"code": "private_key", "status": 400, "method": "POST", "route": BULK[1], "batch": self.batch.id}
            self._here.refusals.record(self._who.actor, facts)
        return self.batch
