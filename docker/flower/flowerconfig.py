"""Flower asks for a password and changes nothing; `/metrics` and `/healthcheck` stay open, as Flower has it."""

import os
from pathlib import Path

basic_auth = [Path(os.environ["FLOWER_BASIC_AUTH_FILE"]).read_text(encoding="utf-8").strip()]
read_only = True
