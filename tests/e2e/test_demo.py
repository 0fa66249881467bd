from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import dev_server


def test_the_demo_tells_its_story_to_the_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = _demo(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("refused") >= 2
    assert done.stdout.count("connected") >= 3
    assert "the foreign entries are all still there, byte for byte" in done.stdout
    assert "\x1b[" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_run_says_why_and_fails(tmp_path: Path) -> None:
    (tmp_path / "java").symlink_to("/bin/false")
    (tmp_path / "keytool").symlink_to("/bin/false")

    done = _demo(tmp_path, PATH=str(tmp_path))

    assert done.returncode == 1
    assert "The demo failed: The JVM client ended with status 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not (shutil.which("java") and shutil.which("keytool")), reason="no JDK on PATH")
def test_the_demo_shows_a_jvm_where_there_is_one(tmp_path: Path) -> None:
    done = _demo(tmp_path)

    assert done.stdout.count("JVM client, gateway-") == 5


def _demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trustcast_cli", "demo"]
    environ = dev_server.environment({"TMPDIR": str(folder), **environment})
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90, check=False)
