from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import dev_server, tools


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def story(temporary: Path) -> str:
    done = _demo(temporary)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_demo_tells_its_story_to_the_end(story: str) -> None:
    assert story.count("Python client, gateway-1's truststore: refused\n     self-signed certificate") == 2
    assert story.count("Python client, gateway-") == 5
    assert "the foreign entries are all still there, byte for byte" in story


@pytest.mark.parametrize("done", ["installed", "removed"])
def test_the_demo_shows_the_states_and_the_gateways_with_their_milliseconds(story: str, done: str) -> None:
    for what in ("received", "validated", "applied", f"gateway-1 {done}", f"gateway-2 {done}", f"gateway-3 {done}"):
        assert re.search(rf"^ +\d+ ms  {what}$", story, re.MULTILINE)


def test_the_demo_has_no_colour_in_a_pipe(story: str) -> None:
    assert "\x1b[" not in story


def test_the_demo_leaves_nothing_behind(story: str, temporary: Path) -> None:
    assert story
    assert list(temporary.iterdir()) == []


def test_the_demo_shows_a_jvm_where_there_is_one(story: str) -> None:
    tools.java_tool("java")
    tools.java_tool("keytool")

    assert story.count("JVM client, gateway-") == 5


def test_a_demo_that_cannot_go_on_says_why_and_fails(tmp_path: Path) -> None:
    for name in ("java", "keytool"):
        (tmp_path / name).symlink_to("/bin/false")

    done = _demo(tmp_path, PATH=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.startswith("The demo failed: The JVM client ended with status 1")
    assert "Traceback" not in done.stderr


def _demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trustcast_cli", "demo"]
    environ = dev_server.environment({"TMPDIR": str(folder), **environment})
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90, check=False)
