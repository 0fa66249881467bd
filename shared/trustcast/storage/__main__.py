"""`python -m trustcast.storage upgrade`: bring the database at TRUSTCAST_DATABASE_URL to this version."""

from __future__ import annotations

import sys

from trustcast import settings
from trustcast.domain.errors import TrustcastError
from trustcast.storage import migrate
from trustcast.storage.session import Database


def main() -> None:
    """Upgrade, print the revision; anything wrong is one sentence and exit status 1."""
    if sys.argv[1:] != ["upgrade"]:
        sys.exit("usage: python -m trustcast.storage upgrade")
    try:
        database = Database(settings.load(settings.DatabaseSettings).database())
        print(migrate.upgrade(database))  # noqa: T201 - a command's answer
    except (settings.SettingsError, TrustcastError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
