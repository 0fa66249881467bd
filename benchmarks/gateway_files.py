"""What is on the gateways' disks: watched from outside, without asking anybody who may be wrong about it."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from pathlib import Path

from trustcast.keystore import jks
from trustcast_cli import sample_home
from trustcast_cli.data_folder import TRUSTSTORE_PASSWORD, DataFolder

_LOOK_EVERY = 0.0003
_COUNT = struct.Struct(">8xI")


class GatewayFiles:
    """The files of some gateways. The profiles are replaced last, so that is the moment when an install is complete."""

    def __init__(self, folder: DataFolder, gateways: Sequence[str]) -> None:
        homes = [folder.gateway_home(name) for name in gateways]
        self._profiles = [home / sample_home.SSL_PROFILES for home in homes]
        self._truststores = [home / sample_home.TRUSTSTORE for home in homes]

    def profiles_now(self) -> list[int]:
        """Return the profiles' modification times, in nanoseconds."""
        return [path.stat().st_mtime_ns for path in self._profiles]

    def wait_for_new_profiles(self, before: Sequence[int], seconds: float) -> list[float]:
        """Wait until each was replaced since `before`; return when each was seen to be, by `time.perf_counter`."""
        deadline = time.perf_counter() + seconds
        seen: dict[int, float] = {}
        while len(seen) < len(before):
            for number, path in enumerate(self._profiles):
                if number not in seen and path.stat().st_mtime_ns != before[number]:
                    seen[number] = time.perf_counter()
            assert time.perf_counter() < deadline, f"nothing was installed within {seconds:g} s"
            time.sleep(_LOOK_EVERY)
        return [seen[number] for number in sorted(seen)]

    def entries(self) -> list[int]:
        """Return how many entries each truststore states in its header, foreign ones included."""
        return [_COUNT.unpack(_head(path))[0] for path in self._truststores]

    def ours(self) -> list[set[str]]:
        """Return the aliases that Trustcast has in each truststore, read whole."""
        stores = [jks.read(path.read_bytes(), TRUSTSTORE_PASSWORD) for path in self._truststores]
        return [{entry.alias for entry in entries if entry.is_ours} for entries in stores]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_COUNT.size)
