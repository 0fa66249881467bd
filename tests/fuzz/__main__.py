"""`make fuzz`: at least 20,000 requests made from the OpenAPI document, on a server of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz
from tests.redis_server import RedisServer
from tests.served_api import add_environment, served
from trustcast.storage import migrate
from trustcast.storage.session import Database

CASES = 20_000
HOUR = 3600.0


def main() -> int:
    """Fuzz, print what schemathesis says, and return 0 if there were enough cases and none failed."""
    with tempfile.TemporaryDirectory(prefix="trustcast-fuzz-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'trustcast.db'}"
        database = Database(url)
        migrate.upgrade(database)
        database.close()
        add_environment(url, "other")
        redis = RedisServer(folder)
        try:
            with served(folder, url, redis.url) as api:
                verdict = fuzz(api, folder, *(sys.argv[1:] or ["--max-examples", "500"]), timeout=2 * HOUR)
        finally:
            redis.stop()
    print(verdict.output)
    enough = verdict.cases >= CASES
    print(f"{verdict.cases} cases, {len(verdict.failures)} failures, {verdict.errors} errors.")
    return 0 if enough and verdict.complete and not verdict.failures and not verdict.errors else 1


if __name__ == "__main__":
    sys.exit(main())
