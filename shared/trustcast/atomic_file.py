"""Files that appear whole or not at all: a temporary file in the same folder, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MILLISECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file this is and in which state; times in nanoseconds. Any write to the file makes another one of it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Take what `os.stat` or `os.fstat` says."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class ChangedMeanwhile(Unavailable):
    """Another program changed the file since it was read: read it again."""

    def __init__(self, path: Path) -> None:
        super().__init__("file_changed", f"Another program changed {path} at the same moment.")
        self.path = path


class Replacement:
    """A file's next content, complete and synced at `path`, but not yet in the file's place."""

    def __init__(self, target: Path, path: Path, descriptor: int) -> None:
        self.path = path
        self._target = target
        self._descriptor = descriptor

    def commit(self, *, expected: Identity | None = None) -> Identity:
        """Put it in place, atomically, and return what the file now is.

        `expected` is what the file to be replaced was when it was read; raises `ChangedMeanwhile` if it no longer is.
        """
        if expected is not None and _identity(self._target) != expected:
            raise ChangedMeanwhile(self._target)
        self.path.replace(self._target)
        _sync_folder(self._target.parent)
        return Identity.of(os.fstat(self._descriptor))


def replace(path: Path, data: bytes, *, newer_than_ns: int = 0, mode: int = 0o600) -> Identity:
    """Give `path` the content `data`; see `replacement`."""
    with replacement(path, data, newer_than_ns=newer_than_ns, mode=mode) as new:
        return new.commit()


@contextlib.contextmanager
def replacement(path: Path, data: bytes, *, newer_than_ns: int = 0, mode: int = 0o600) -> Iterator[Replacement]:
    """Prepare `data` as the next content of `path`; leaving without `commit` leaves `path` as it was, and no trace.

    The modification time is now, or `newer_than_ns` and a millisecond where the clock is behind that: a JVM compares
    whole milliseconds. Owner and mode are those of the file replaced; a new file gets `mode`.

    Raises `Unavailable` with the old file untouched: `disk_full`, `not_writable`, `symlink_refused`, `write_failed`.
    """
    target = _followed(path)
    try:
        _remove_leftovers(target)
        temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unavailable(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _fill(descriptor, data)
        _take_after(descriptor, target, mode)
        moment = max(time.time_ns(), newer_than_ns + _MILLISECOND)
        os.utime(descriptor, ns=(moment, moment))
        os.fsync(descriptor)  # once: after a failed fsync the kernel may report success for pages it has dropped
        yield Replacement(target, temporary, descriptor)
    except OSError as error:
        raise _unavailable(error, path) from error
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # nothing to remove after a commit; the next run removes what stays
            temporary.unlink()


def _followed(path: Path) -> Path:
    """The file that `path` means: a symbolic link may only point to a neighbour."""
    if not path.is_symlink():
        return path
    target = path.resolve()
    if target.parent != path.parent.resolve():
        raise Unavailable(
            "symlink_refused", f"{path} is a symbolic link that leaves its folder; name the file it points to instead."
        )
    return target


def _prefix(target: Path) -> str:
    return f".{target.name}.trustcast-"


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed process left behind; what a living one writes is locked by it."""
    prefix = _prefix(target)
    for leftover in [one for one in target.parent.iterdir() if one.name.startswith(prefix)]:
        with contextlib.suppress(FileNotFoundError, PermissionError, BlockingIOError), leftover.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def _fill(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _take_after(descriptor: int, target: Path, mode: int) -> None:
    """Give the new file the owner and mode of the one it replaces: the gateway must still be able to read it."""
    try:
        old = target.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)


def _identity(path: Path) -> Identity | None:
    try:
        return Identity.of(path.stat())
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(error: OSError, path: Path) -> Unavailable:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return Unavailable(
                "disk_full", f"There is no room to write {path}; the old file is untouched. Free some space."
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Unavailable(
                "not_writable",
                f"This user cannot replace {path}, keeping owner and mode; check its and its folder's permissions.",
            )
        case _:
            return Unavailable("write_failed", f"{path} could not be replaced: {error.strerror}.")
