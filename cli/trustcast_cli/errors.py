"""What the command line says instead of a traceback."""

from __future__ import annotations


class CannotRun(Exception):
    """What stands in the way, in one sentence for the person at the terminal. The command ends with status 1."""
