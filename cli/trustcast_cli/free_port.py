"""Ports to listen on."""

from __future__ import annotations

import socket


def checked(host: str, port: int) -> int:
    """Return the port that a server could listen on now, chosen by the system for 0. Raises `OSError` if taken."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run in TIME_WAIT do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])
