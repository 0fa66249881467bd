"""Small files that only their owner may read, made once and whole, and there after a power cut."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put `text` at `path` with mode 0600; a reader sees the old file or the new one, also after a power cut."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def kept(path: Path, make: Callable[[], str]) -> str:
    """Return the text at `path`, without white space around it; where there is none yet, make and keep it."""
    if not path.exists():
        write(path, make() + "\n")
    return path.read_text(encoding="utf-8").strip()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
