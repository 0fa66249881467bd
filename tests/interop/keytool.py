"""The JDK's own reader and writer of key stores."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.tools import java_tool

PASSWORD = "a password"


def keytool(*arguments: str | Path, store: Path, password: str = PASSWORD, kind: str = "JKS") -> str:
    """Run keytool on a key store of this kind and return what it prints, in English and UTF-8."""
    done = subprocess.run(
        [java_tool("keytool"), *arguments, "-keystore", store, "-storepass", password, "-storetype", kind],
        env={
            **os.environ,
            "JAVA_TOOL_OPTIONS": "-Duser.language=en -Dsun.stdout.encoding=UTF-8 -Dstdout.encoding=UTF-8",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fingerprints(listing: str) -> list[str]:
    """The SHA-256 fingerprints of a keytool listing, as we write them."""
    words = (line.split()[-1] for line in listing.splitlines() if "SHA-256" in line)
    return [word.replace(":", "").lower() for word in words]
