"""Programs that some tests need and not every machine has."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def java_tool(name: str) -> str:
    """The path of a JDK's program; without it the test is skipped, in CI it fails."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not on PATH; install a JDK, 11 or newer")
    return path


def missing(what: str) -> NoReturn:
    """Skip the test on somebody's machine; in CI everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
