"""A real Redis (or Valkey) server for tests, on loopback, with nothing kept on disk."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from trustcast_cli import free_port
from trustcast_cli.embedded_redis import LOOPBACK, server_binary


class RedisServer:
    """One server; it can be stopped and started again on its port, forgetting everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port.checked(LOOPBACK, 0)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", LOOPBACK, "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < until, "the Redis server does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
