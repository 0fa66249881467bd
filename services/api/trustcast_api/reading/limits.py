"""What reading one body may cost; the most that any known one costs is a third of it."""

from __future__ import annotations

from typing import Final

MEMORY_BYTES: Final = 1024**3
"""Of address space, of which Python and its libraries take a quarter."""
_SECONDS: Final = 1.0
_BYTES_A_SECOND: Final = 256 * 1024


def seconds(frame: bytes) -> float:
    """Return how long, in seconds of computing, what stands in a frame may take: a second for what may be one upload.

    Lines come many at once.
    """
    return max(_SECONDS, len(frame) / _BYTES_A_SECOND)
