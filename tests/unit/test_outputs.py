"""What an install leaves in a gateway home: ours as wanted, foreign as it was, profiles newer than the truststore."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.gateway_home import PASSWORD, entries, make_home
from trustcast.domain.errors import Conflict, Unavailable
from trustcast.keystore import jks
from trustcast.keystore.jks import RawEntry, trusted_entry
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs import ssl_profiles
from trustcast_gateway.outputs.jks import JksOutput

FOREIGN = [b"foreign certificate one", b"foreign certificate two"]


@pytest.fixture
def home(tmp_path: Path) -> GatewayHome:
    return make_home(tmp_path / "gateway", FOREIGN)


def managed(**certificates: bytes) -> dict[str, RawEntry]:
    return {alias: trusted_entry(alias, der) for alias, der in certificates.items()}


def sha256(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def aliases(home: GatewayHome) -> list[str]:
    return [entry.alias for entry in entries(home)]


def modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def truststore_of(home: GatewayHome, *present: RawEntry, password: str = PASSWORD) -> None:
    home.truststore.write_bytes(jks.write(present, password))


def capital(alias: str, der: bytes) -> RawEntry:
    """An entry whose alias has a capital letter, as keytool never writes it and other programs do."""
    raw = trusted_entry(alias, der, made_ms=1).raw
    return RawEntry(alias, raw.replace(alias.lower().encode(), alias.encode(), 1))


def key_entry(alias: str) -> RawEntry:
    name = alias.encode()
    head = struct.pack(">IH", 1, len(name)) + name + struct.pack(">Q", 77)
    return RawEntry(alias, head + struct.pack(">I", 7) + b"ENCRYPT" + struct.pack(">I", 0))


def test_managed_entries_stand_behind_the_foreign_ones_sorted_by_alias(home: GatewayHome) -> None:
    before = entries(home)

    JksOutput().install(home, managed(b=b"B", a=b"A"))

    assert entries(home) == [*before, trusted_entry("a", b"A"), trusted_entry("b", b"B")]


def test_the_answer_is_what_the_second_reader_finds(home: GatewayHome) -> None:
    read = JksOutput().install(home, managed(a=b"A"))

    assert read == {"a": sha256(b"A"), "foreign-1": sha256(FOREIGN[0]), "foreign-2": sha256(FOREIGN[1])}


def test_what_is_no_longer_managed_goes_and_what_is_replaced_is_replaced(home: GatewayHome) -> None:
    output = JksOutput()
    output.install(home, managed(a=b"A", b=b"B"))

    read = output.install(home, managed(b=b"another"))

    assert aliases(home) == ["foreign-1", "foreign-2", "b"]
    assert read["b"] == sha256(b"another")


def test_a_listener_that_remembers_nothing_still_knows_its_own_entries(home: GatewayHome) -> None:
    JksOutput().install(home, managed(a=b"A", b=b"B"))

    JksOutput().install(home, managed(c=b"C"))

    assert aliases(home) == ["foreign-1", "foreign-2", "c"]


def test_without_managed_entries_the_foreign_ones_are_what_is_left(home: GatewayHome) -> None:
    before = home.truststore.read_bytes()
    output = JksOutput()
    output.install(home, managed(a=b"A"))

    output.install(home, {})

    assert home.truststore.read_bytes() == before


def test_foreign_private_keys_and_spellings_are_carried_through(home: GatewayHome) -> None:
    upper = RawEntry("UPPER", trusted_entry("upper", b"U", made_ms=5).raw.replace(b"upper", b"UPPER"))
    foreign = [upper, key_entry("Server"), trusted_entry("emoji-🔑", b"E", made_ms=5)]
    truststore_of(home, *foreign)

    JksOutput().install(home, managed(a=b"A"))

    assert entries(home) == [*foreign, trusted_entry("a", b"A")]


def test_another_certificate_under_a_foreign_alias_is_a_conflict_and_nothing_is_written(home: GatewayHome) -> None:
    before = home.truststore.stat(), home.ssl_profiles.stat()

    with pytest.raises(Conflict) as caught:
        JksOutput().install(home, {"a": trusted_entry("a", b"A"), "foreign-1": trusted_entry("foreign-1", b"other")})

    assert caught.value.code == "foreign_alias"
    assert (home.truststore.stat().st_mtime_ns, home.ssl_profiles.stat().st_mtime_ns) == (
        before[0].st_mtime_ns,
        before[1].st_mtime_ns,
    )


def test_a_private_key_under_a_managed_alias_is_a_conflict_in_any_spelling(home: GatewayHome) -> None:
    truststore_of(home, key_entry("Backend"))

    with pytest.raises(Conflict):
        JksOutput().install(home, managed(backend=b"B"))


def test_the_same_certificate_under_a_foreign_alias_stays_the_operators(home: GatewayHome) -> None:
    output, before = JksOutput(), home.truststore.read_bytes()

    read = output.install(home, {"foreign-1": trusted_entry("foreign-1", FOREIGN[0])})

    assert (home.truststore.read_bytes(), read["foreign-1"]) == (before, hashlib.sha256(FOREIGN[0]).hexdigest())
    output.install(home, {})
    assert home.truststore.read_bytes() == before


def test_a_foreign_alias_with_a_capital_letter_does_not_serve(home: GatewayHome) -> None:
    truststore_of(home, trusted_entry("web", b"W", made_ms=1), capital("Api", b"A"))

    with pytest.raises(Conflict):
        JksOutput().install(home, managed(api=b"A"))


def test_looking_changes_nothing_and_says_what_is_wrong(home: GatewayHome) -> None:
    home.truststore.write_bytes(b"junk")

    with pytest.raises(Unavailable):
        JksOutput().look(home)

    assert home.truststore.read_bytes() == b"junk"


def test_the_profiles_are_the_same_bytes_and_newer_than_before(home: GatewayHome) -> None:
    content, before = home.ssl_profiles.read_bytes(), modified(home.ssl_profiles)

    JksOutput().install(home, managed(a=b"A"))

    assert home.ssl_profiles.read_bytes() == content
    assert modified(home.ssl_profiles) >= before + 1_000_000
    assert modified(home.ssl_profiles) > modified(home.truststore)


def test_the_profiles_get_newer_each_time_by_a_whole_millisecond(home: GatewayHome) -> None:
    output = JksOutput()
    times = []
    for number in range(20):
        output.install(home, managed(a=b"%d" % number))
        times.append(modified(home.ssl_profiles) // 1_000_000)

    assert times == sorted(set(times))


def test_a_clock_that_went_back_does_not_hide_a_change_from_the_gateway(home: GatewayHome) -> None:
    ahead = time.time_ns() + 3_600_000_000_000
    os.utime(home.ssl_profiles, ns=(ahead, ahead))

    JksOutput().install(home, managed(a=b"A"))

    assert modified(home.ssl_profiles) > modified(home.truststore) > ahead


@pytest.mark.parametrize("fresh", [False, True], ids=["the same listener", "after a restart"])
def test_what_is_already_installed_is_not_written_again(home: GatewayHome, fresh: bool) -> None:
    output = JksOutput()
    read = output.install(home, managed(a=b"A"))
    before = home.truststore.stat(), home.ssl_profiles.stat()

    again = (JksOutput() if fresh else output).install(home, managed(a=b"A"))

    assert again == read
    assert (home.truststore.stat(), home.ssl_profiles.stat()) == before


def test_an_entry_that_somebody_took_out_comes_back(home: GatewayHome) -> None:
    output = JksOutput()
    output.install(home, managed(a=b"A"))
    truststore_of(home, trusted_entry("theirs", b"T", made_ms=5))

    output.install(home, managed(a=b"A"))

    assert aliases(home) == ["theirs", "a"]


def next_second() -> None:
    """Sleep until a whole second has just begun."""
    time.sleep(1.02 - time.time() % 1)


def test_two_installs_in_one_second_renew_the_profiles_once_more_in_a_later_one(home: GatewayHome) -> None:
    """A JVM that sees whole seconds may have looked between the two."""
    output = JksOutput()
    next_second()
    output.install(home, managed(a=b"A"))
    output.install(home, managed(b=b"B"))
    hidden, truststore = modified(home.ssl_profiles), home.truststore.stat()
    output.settle()
    assert (output.unsettled, modified(home.ssl_profiles)) == (True, hidden)

    next_second()
    output.settle()
    seen = modified(home.ssl_profiles)
    output.settle()

    assert hidden // 10**9 < seen // 10**9 <= time.time() // 1
    assert (output.unsettled, modified(home.ssl_profiles)) == (False, seen)
    assert home.truststore.stat() == truststore


def test_installs_in_seconds_of_their_own_are_settled(home: GatewayHome) -> None:
    output = JksOutput()
    next_second()
    output.install(home, managed(a=b"A"))
    next_second()

    output.install(home, managed(b=b"B"))

    assert not output.unsettled


def test_profiles_ahead_of_the_clock_are_left_to_the_tick(home: GatewayHome) -> None:
    ahead = time.time_ns() // 10**9 * 10**9 + 3_600 * 10**9
    os.utime(home.ssl_profiles, ns=(ahead, ahead))
    output = JksOutput()

    output.install(home, managed(a=b"A"))

    assert not output.unsettled


def test_profiles_that_keep_no_time_are_said_after_two_attempts(
    home: GatewayHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system whose times are coarse."""
    ahead, attempts = time.time_ns() + 3_600 * 10**9, []
    monkeypatch.setattr(os, "utime", lambda *_, **__: attempts.append(1))

    with pytest.raises(Unavailable) as caught:
        ssl_profiles.renew(home.ssl_profiles, newer_than_ns=ahead)

    assert (caught.value.code, len(attempts)) == ("profiles_not_renewed", 2)


CHANGED_PROFILES = """
import sys
from pathlib import Path
from trustcast.keystore.jks import trusted_entry
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs.jks import JksOutput

home, once = GatewayHome.read(Path(sys.argv[1])), [True]

def change_the_profiles(event, arguments):
    name = str(arguments[0]) if event == "open" else ""
    if ".sslprofiles.xml.trustcast-" in name and once:
        once.clear()
        home.ssl_profiles.write_bytes(home.ssl_profiles.read_bytes() + b"<!-- the operator's -->")

sys.addaudithook(change_the_profiles)
JksOutput().install(home, {"a": trusted_entry("a", b"A")})
assert not once
"""


def test_profiles_that_the_operator_changes_meanwhile_keep_his_change(home: GatewayHome) -> None:
    before = home.ssl_profiles.read_bytes()

    subprocess.run([sys.executable, "-c", CHANGED_PROFILES, home.folder], check=True)

    assert home.ssl_profiles.read_bytes() == before + b"<!-- the operator's -->"
    assert modified(home.ssl_profiles) > modified(home.truststore)


def test_bytes_that_the_disk_does_not_keep_are_not_installed(
    home: GatewayHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte of a certificate is another one on disk."""
    before, write = home.truststore.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda to, data: write(to, bytes(data).replace(b"AAAA", b"AABA")))

    with pytest.raises(Unavailable) as caught:
        JksOutput().install(home, managed(a=b"AAAA"))

    assert caught.value.code == "write_failed"
    assert home.truststore.read_bytes() == before


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from trustcast.keystore.jks import trusted_entry
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs.jks import JksOutput

home = GatewayHome.read(Path(sys.argv[1]))

def stop_at_the_profiles(event, arguments):
    if event == "open" and str(arguments[0]) == str(home.ssl_profiles):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(stop_at_the_profiles)
JksOutput().install(home, {"a": trusted_entry("a", b"A")})
"""


def test_an_install_killed_between_truststore_and_profiles_is_completed_by_the_next(home: GatewayHome) -> None:
    before = modified(home.ssl_profiles)
    died = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, home.folder], check=False)
    assert died.returncode == -signal.SIGKILL
    assert aliases(home) == ["foreign-1", "foreign-2", "a"]
    assert modified(home.ssl_profiles) == before
    truststore = home.truststore.stat()

    JksOutput().install(home, managed(a=b"A"))

    assert modified(home.ssl_profiles) > modified(home.truststore)
    assert home.truststore.stat() == truststore


CHANGED_MEANWHILE = """
import sys
from pathlib import Path
from trustcast.keystore import jks
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs.jks import JksOutput

home, times = GatewayHome.read(Path(sys.argv[1])), int(sys.argv[2])

def add_an_entry(event, arguments):
    global times
    if event == "open" and ".trustcast-" in str(arguments[0]) and arguments[1] and times:
        times -= 1
        present = jks.read(home.truststore.read_bytes(), home.password)
        theirs = jks.trusted_entry(f"theirs-{len(present)}", b"T", made_ms=5)
        home.truststore.write_bytes(jks.write([*present, theirs], home.password))

sys.addaudithook(add_an_entry)
try:
    print(sorted(JksOutput().install(home, {"a": jks.trusted_entry("a", b"A")})))
except Exception as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    ("times", "outcome", "left"),
    [
        (2, "['a', 'foreign-1', 'foreign-2', 'theirs-2', 'theirs-3']", ["theirs-2", "theirs-3", "a"]),
        (5, "truststore_busy", [f"theirs-{number}" for number in range(2, 7)]),
    ],
    ids=["twice", "always"],
)
def test_what_another_program_writes_meanwhile_is_not_lost(
    home: GatewayHome, times: int, outcome: str, left: list[str]
) -> None:
    """Another program adds an entry whenever the listener has its next truststore ready."""
    command = [sys.executable, "-c", CHANGED_MEANWHILE, str(home.folder), str(times)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == outcome
    assert aliases(home) == ["foreign-1", "foreign-2", *left]


def test_readers_never_see_a_torn_truststore(home: GatewayHome) -> None:
    done = threading.Event()
    readings: list[int] = []

    def read() -> None:
        while not done.is_set():
            readings.append(len(jks.read(home.truststore.read_bytes(), PASSWORD)))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    output = JksOutput()
    for number in range(150):
        output.install(home, managed(**{f"backend-{each}": b"x" * 900 for each in range(number % 40)}))
    done.set()
    for reader in readers:
        reader.join()

    assert set(readings) <= set(range(len(FOREIGN), len(FOREIGN) + 40))
    assert len(set(readings)) > 5


def refusal(home: GatewayHome) -> Unavailable:
    before = home.truststore.read_bytes() if home.truststore.exists() else None
    with pytest.raises(Unavailable) as caught:
        JksOutput().install(home, managed(a=b"A"))
    assert (home.truststore.read_bytes() if home.truststore.exists() else None) == before
    return caught.value


def test_a_wrong_password_is_one_clear_sentence(home: GatewayHome) -> None:
    truststore_of(home, password="another")

    error = refusal(home)

    assert error.code == "truststore_password"
    assert str(home.truststore) in error.detail
    assert PASSWORD not in error.detail


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "truststore_truncated"),
        (jks.write([trusted_entry("a", b"A")], PASSWORD)[:-30], "truststore_truncated"),
        (b"\x30\x82\x01\x00" + bytes(100), "truststore_not_jks"),
        (b"\xca\xfe\xba\xbe" + bytes(100), "truststore_not_jks"),
    ],
    ids=["empty", "truncated", "PKCS12", "something else"],
)
def test_a_truststore_that_cannot_be_read_is_left_alone(home: GatewayHome, content: bytes, code: str) -> None:
    home.truststore.write_bytes(content)

    assert refusal(home).code == code


def test_a_truststore_that_is_not_there_is_said_so(home: GatewayHome) -> None:
    home.truststore.unlink()

    assert refusal(home).code == "truststore_unreadable"


def test_a_truststore_that_is_written_at_this_moment_is_read_when_it_is_whole(home: GatewayHome) -> None:
    whole = home.truststore.read_bytes()
    home.truststore.write_bytes(whole[:50])
    output = JksOutput()
    with pytest.raises(Unavailable):
        output.install(home, managed(a=b"A"))

    home.truststore.write_bytes(whole)
    output.install(home, managed(a=b"A"))

    assert aliases(home) == ["foreign-1", "foreign-2", "a"]


def test_a_large_truststore_is_read_whole_once_nothing_is_written(home: GatewayHome) -> None:
    output, many = JksOutput(), managed(**{f"backend-{each}": b"%d" % each for each in range(1_500)})
    output.install(home, many)
    many["one-more"] = trusted_entry("one-more", b"M")
    del many["backend-7"]

    written = output.install(home, many)
    quiet = output.install(home, many)

    assert written == quiet == JksOutput().install(home, many)
    assert "backend-7" not in written
    assert written["one-more"] == sha256(b"M")
