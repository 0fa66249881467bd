"""sslprofiles.xml: its modification time is what a WSO2 gateway watches to load its truststore again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trustcast import atomic_file
from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_ATTEMPTS: Final = 2


def modified_ns(path: Path) -> int:
    """Return the modification time in nanoseconds since 1970; raises `Unavailable` (`gateway_home_missing`)."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise Unavailable("gateway_home_missing", f"{path} cannot be read: {error.strerror}.") from error


def renew(path: Path, *, newer_than_ns: int) -> None:
    """Replace the file by its own bytes with a modification time of now, if it is not newer than `newer_than_ns`.

    The truststore is written with a time after the profiles', so profiles that are older than their truststore have
    not been renewed since: that is all there is to remember of an install that was killed halfway.

    Raises `Unavailable` (`profiles_not_renewed`) where the file system does not keep the time.
    """
    for _ in range(_ATTEMPTS):
        if modified_ns(path) > newer_than_ns:
            return
        _replace(path, newer_than_ns)
    if modified_ns(path) <= newer_than_ns:
        raise Unavailable(
            "profiles_not_renewed", f"{path} does not keep the time given to it; the gateway may not see the change."
        )


def _replace(path: Path, newer_than_ns: int) -> None:
    try:
        with path.open("rb") as file:
            data, read = file.read(), atomic_file.Identity.of(os.fstat(file.fileno()))
    except OSError as error:
        raise Unavailable("gateway_home_missing", f"{path} cannot be read: {error.strerror}.") from error
    with atomic_file.replacement(path, data, newer_than_ns=max(newer_than_ns, read.mtime_ns)) as new:
        new.commit(expected=read)
