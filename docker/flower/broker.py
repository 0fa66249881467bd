"""The Celery app that Flower looks through: the broker's address, which holds a password, from a secret file."""

import os
from pathlib import Path

from celery import Celery

app = Celery(broker=Path(os.environ["TRUSTCAST_REDIS_URL_FILE"]).read_text(encoding="utf-8").strip())
