"""Readers take any bytes: a few thousand of what `make fuzz` feeds them by the million, the same in each run."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.readers import elements, files_of_certificates, files_of_stores, policy_cases
from tests.fuzz.readers.explore import LARGEST
from tests.fuzz.readers.judge import MOST_BYTES, MOST_SECONDS, HungError, judge, largest_so_far
from tests.fuzz.readers.schedule import Schedule, Tally, table
from tests.fuzz.readers.targets import TARGETS
from trustcast.domain.certificate import Certificate
from trustcast.keystore import jks, pkcs12

INPUTS = 1500
SMALL = 6000


@pytest.mark.parametrize("name", TARGETS)
def test_reader_takes_any_bytes(name: str) -> None:
    target, luck = TARGETS[name], Random(4)
    small = [seed for seed in target.seeds() if len(seed) <= SMALL]
    for seed in small[:: 1 + len(small) // 300]:
        assert judge(target.run, seed).failure is None
    for _ in range(INPUTS):
        data = luck.choice(small)
        for _ in range(luck.choice((1, 1, 2, 4))):
            data = target.mutate(data, luck)

        assert judge(target.run, data[:LARGEST]).failure is None


@pytest.mark.parametrize("name", TARGETS)
def test_each_run_begins_with_the_same_and_changes_it_in_the_same_way(name: str) -> None:
    target = TARGETS[name]
    first, again = (
        [target.mutate(seed, luck) for seed in islice(target.seeds(), 100)] for luck in (Random(1), Random(1))
    )

    assert first == again
    assert first != list(islice(target.seeds(), 100))


def test_what_is_raised_is_a_failure_and_its_place_is_told() -> None:
    def broken(data: bytes) -> None:
        data[3]

    judged = judge(broken, b"abc")

    assert judged.failure is not None
    assert (judged.failure.kind, "IndexError: index out of range" in judged.failure.told) == ("raised", True)
    assert judged.failure.where.startswith("IndexError in test_readers.py:")
    assert judge(broken, b"abcd").failure is None


def test_much_time_of_the_processor_is_a_failure_and_waiting_is_none() -> None:
    def works(data: bytes) -> None:
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            pass

    judged = judge(works, b"", most_seconds=0.1)

    assert judged.failure is not None
    assert judged.failure.kind == "slow"
    assert judge(lambda _: time.sleep(0.15), b"", most_seconds=0.1).failure is None
    assert MOST_SECONDS == 1


def test_what_never_ends_is_stopped() -> None:
    def never_ends(data: bytes) -> None:
        while True:
            pass

    judged = judge(never_ends, b"", hung_seconds=0.2)

    assert judged.failure is not None
    assert judged.failure.where.startswith(HungError.__name__)


def test_much_memory_is_a_failure() -> None:
    size = largest_so_far() + MOST_BYTES

    judged = judge(lambda _: b"x" * size, b"")

    assert judged.failure is not None
    assert judged.failure.kind == "memory"


def test_changed_certificate_is_signed_again() -> None:
    """Otherwise no changed self-signed one would come further than to its signature."""
    luck, whole = Random(1), files_of_certificates.made()[3].der
    changed = [elements.mutated(whole, luck, []) for _ in range(500)]

    assert not any(one != whole and _self_signature_is_valid(one) for one in changed)
    assert any(_self_signature_is_valid(files_of_certificates.signed_again(one)) for one in changed if one != whole)


def test_changed_key_stores_still_open() -> None:
    """Otherwise everything behind the password would never be reached."""
    luck = Random(1)
    (encrypted, store) = files_of_stores.pkcs12_files()[6], files_of_stores.jks_files()[1]
    files = [files_of_stores.mutated_pkcs12(encrypted, luck) for _ in range(300)]
    stores = [files_of_stores.mutated_jks(store, luck) for _ in range(300)]

    assert len({file for file in files if _opens(file)}) > 10
    assert len({one for one in stores if _has_right_digest(one)}) > 100


def test_any_bytes_are_a_case_for_the_policy() -> None:
    data = policy_cases.cases()[0]

    assert policy_cases.Case.read(data).write() == data
    assert policy_cases.Case.read(b"").settings["allow_ca"] is False


@pytest.mark.timeout(100)
def test_readers_are_fed_in_turn_until_their_executions_are_reached(tmp_path: Path) -> None:
    """The real thing in small: a process each, with atheris where there is one."""
    schedule, told = Schedule(["der", "jks"], tmp_path, seconds=60, executions=2000), list[str]()
    schedule.run(2, told.append)

    tallies = list(schedule.tallies.values())
    assert [(one.failures, one.executions) for one in tallies] == [({}, 1000), ({}, 1000)], told
    assert "2,000" in table(tallies).splitlines()[-1]


def test_file_that_was_kept_can_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "jks-raised-1"
    file.write_bytes(files_of_stores.jks_files()[0])

    assert main(["again", "jks", str(file)]) == 0
    assert capsys.readouterr().out.startswith("Nothing is wrong with it.")


def test_table_has_a_row_for_each_reader_and_one_for_all() -> None:
    tallies = [
        Tally("pem", 3000, 2.0, edges=7, slowest=0.25, slowest_bytes=99),
        Tally("jks", 1000, 2.0, failures={"jks-raised-1": "…"}),
    ]

    assert [line.split() for line in table(tallies).splitlines()] == [
        ["reader", "executions", "per", "second", "edges", "slowest", "failures"],
        ["pem", "3,000", "1,500", "7", "250", "ms", "(99", "bytes)", "0"],
        ["jks", "1,000", "500", "-", "0", "ms", "(0", "bytes)", "1"],
        ["all", "4,000", "1,000", "1"],
    ]


def _self_signature_is_valid(der: bytes) -> bool:
    try:
        return Certificate.parse(der).self_signature_valid is True
    except Exception:  # noqa: BLE001 - most changes make it unreadable
        return False


def _opens(file: bytes) -> bool:
    try:
        return bool(pkcs12.read(file, files_of_stores.PASSWORD))
    except Exception:  # noqa: BLE001
        return False


def _has_right_digest(store: bytes) -> bool:
    try:
        jks.read(store, files_of_stores.PASSWORD)
    except jks.KeystoreError as error:
        return error.code not in {"keystore_password", "keystore_truncated"}
    return True
