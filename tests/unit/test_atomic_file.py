"""A file is replaced whole or not at all, whatever goes wrong, and nothing stays behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.tools import missing
from trustcast import atomic_file
from trustcast.atomic_file import ChangedMeanwhile, Identity
from trustcast.domain.errors import Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_the_file_has_the_new_content_and_nothing_lies_beside_it(path: Path) -> None:
    atomic_file.replace(path, b"new")

    assert path.read_bytes() == b"new"
    assert names(path) == ["file"]


def test_the_file_is_synced_before_the_rename_and_its_folder_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with atomic_file.replacement(path, b"new") as new:
        temporary = str(new.path)
        new.commit()

    assert synced == [(temporary, b"old"), (str(path.parent), b"new")]


def test_a_file_that_was_not_there_is_made(tmp_path: Path) -> None:
    atomic_file.replace(tmp_path / "fresh", b"new")

    assert (tmp_path / "fresh").read_bytes() == b"new"
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o600


def test_the_mode_stays(path: Path) -> None:
    path.chmod(0o4640)

    atomic_file.replace(path, b"new")

    assert path.stat().st_mode & 0o7777 == 0o4640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(path: Path) -> None:
    os.chown(path, 4711, 4712)

    atomic_file.replace(path, b"new")

    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_the_time_is_now(path: Path) -> None:
    before = time.time_ns()

    identity = atomic_file.replace(path, b"new")

    assert before <= identity.mtime_ns <= time.time_ns()


def test_the_time_is_a_millisecond_newer_where_the_clock_is_behind(path: Path) -> None:
    ahead = time.time_ns() + 60_000_000_000

    atomic_file.replace(path, b"new", newer_than_ns=ahead)

    assert path.stat().st_mtime_ns == ahead + 1_000_000


def test_what_commit_returns_is_the_file_as_it_is_now(path: Path) -> None:
    identity = atomic_file.replace(path, b"new")

    assert identity == Identity.of(path.stat())


def test_the_next_content_can_be_looked_at_before_it_counts(path: Path) -> None:
    with atomic_file.replacement(path, b"new") as new:
        assert (new.path.read_bytes(), path.read_bytes()) == (b"new", b"old")


def test_leaving_without_commit_changes_nothing(path: Path) -> None:
    before = Identity.of(path.stat())

    with pytest.raises(ZeroDivisionError), atomic_file.replacement(path, b"new"):
        raise ZeroDivisionError

    assert Identity.of(path.stat()) == before
    assert names(path) == ["file"]


def test_a_file_that_another_program_changed_is_left_to_it(path: Path) -> None:
    read = Identity.of(path.stat())
    with atomic_file.replacement(path, b"new") as new:
        path.write_bytes(b"theirs")
        with pytest.raises(ChangedMeanwhile):
            new.commit(expected=read)

    assert path.read_bytes() == b"theirs"
    assert names(path) == ["file"]


def test_a_link_to_a_neighbour_is_followed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("file")

    atomic_file.replace(link, b"new")

    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_a_link_that_leaves_the_folder_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to(path)

    with pytest.raises(Unavailable) as caught:
        atomic_file.replace(link, b"new")

    assert caught.value.code == "symlink_refused"
    assert path.read_bytes() == b"old"


DIE_BEFORE_COMMIT = """
import os, signal, sys
from pathlib import Path
from trustcast import atomic_file

with atomic_file.replacement(Path(sys.argv[1]), b"half"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_at_the_next_run(path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIE_BEFORE_COMMIT, path], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(names(path)) == 2

    atomic_file.replace(path, b"new")

    assert names(path) == ["file"]


def test_what_another_process_is_writing_stays(path: Path) -> None:
    with atomic_file.replacement(path, b"first") as first:
        atomic_file.replace(path, b"second")
        first.commit()

    assert path.read_bytes() == b"first"


def test_readers_see_the_old_or_the_new_and_nothing_between(path: Path) -> None:
    contents = {bytes([letter]) * 100_000 for letter in b"abcdef"}
    atomic_file.replace(path, b"a" * 100_000)
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for content in contents:
            atomic_file.replace(path, content)
    done.set()
    reader.join()

    assert seen <= contents


REPLACE = """
import sys
from pathlib import Path
from trustcast import atomic_file
from trustcast.domain.errors import Unavailable

path = Path(sys.argv[1], "file")
try:
    atomic_file.replace(path, bytes(1_000_000))
except Unavailable as error:
    print(error.code, path.read_bytes(), len(list(path.parent.iterdir())))
"""


def test_no_room_for_all_of_it_leaves_the_old_file(path: Path) -> None:
    """In a process in which no file may grow beyond 10,000 bytes: writes get short, then fail with EFBIG."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n" + REPLACE
    done = subprocess.run(
        [sys.executable, "-c", limited, str(path.parent)], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("disk_full b'old' 1\n", "")


@pytest.mark.parametrize(
    ("then", "code"), [("true", "disk_full"), ("mount -o remount,ro none .", "not_writable")], ids=["full", "read-only"]
)
def test_a_disk_that_takes_nothing_keeps_the_old_file(tmp_path: Path, then: str, code: str) -> None:
    """On a file system of 64 KB in a mount namespace of its own."""
    shell = (
        f'cd "$1" && mount -t tmpfs -o size=64k none . && cd "$1" && printf old > file && {then} && exec "$0" -c "$2" .'
    )
    command: list[str | Path] = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        shell,
        sys.executable,
        tmp_path,
        REPLACE,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        missing("this machine does not let a test mount a file system")

    assert done.stdout == f"{code} b'old' 1\n"


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=os.strerror(errno.ENOENT)):
        atomic_file.replace(tmp_path / "nowhere" / "file", b"new")
