"""What clients send is read in a process of its own, which may come to any end without taking the api with it."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.faults import hostile_bodies
from tests.faults.hostile_bodies import BULK, FORM
from tests.integration.costly_readings import READINGS
from tests.processes import until
from trustcast.domain.errors import Rejected, RejectedMany, Unavailable
from trustcast_api.body import MAX_BODY_BYTES
from trustcast_api.read_bulk import Lines
from trustcast_api.read_form import Form
from trustcast_api.read_upload import Upload
from trustcast_api.reading.reader import Reader
from trustcast_api.reading.readings import KEYSTORE, LINES, NEW, SEARCH
from trustcast_api.reading.wire import Reading
from trustcast_api.request import REFUSAL
from trustcast_api.routes.form import NEW as FIELDS
from trustcast_api.search_json import Json

LARGE = 10**6
HOSTILE = hostile_bodies.all_of_them()
FORMS = [name for name, one in HOSTILE.items() if one.kind == FORM and len(one.content) <= MAX_BODY_BYTES]
JSONS = [name for name, one in HOSTILE.items() if one.kind == hostile_bodies.JSON]
BULKS = [name for name, one in HOSTILE.items() if one.path == BULK]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with closing(Reader(most_waiting=8)) as reader:
        yield reader


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with closing(Reader(most_waiting=8, module="tests.integration.costly_readings")) as reader:
        yield reader


def elsewhere(reader: Reader, reading: Reading[Any, Any], argument: Any) -> Any:
    return outcome(lambda: reader.submit(reading, argument, size=LARGE).result())


def outcome(reading: Any) -> Any:
    try:
        return reading()
    except Rejected as refused:
        return REFUSAL.dump_python(refused)


@pytest.mark.parametrize("name", FORMS)
def test_form_is_read_there_as_it_is_here(reader: Reader, name: str) -> None:
    form = Form(FORM, HOSTILE[name].content, FIELDS)

    there = elsewhere(reader, NEW, form)

    assert there == outcome(lambda: NEW.here(form))
    if isinstance(there, Upload):
        assert elsewhere(reader, KEYSTORE, there) == outcome(lambda: KEYSTORE.here(there))


@pytest.mark.parametrize("name", JSONS)
def test_body_is_searched_there_as_it_is_here(reader: Reader, name: str) -> None:
    body = Json(HOSTILE[name].content, frozenset({"name", "policy"}))

    assert elsewhere(reader, SEARCH, body) == outcome(lambda: SEARCH.here(body))


@pytest.mark.parametrize("name", BULKS)
def test_lines_are_read_there_as_they_are_here(reader: Reader, name: str) -> None:
    raws = list(Lines().feed(HOSTILE[name].content))[:50]

    there, here = elsewhere(reader, LINES, raws), LINES.here(raws)

    assert [(one.number, one.alias, one.request) for one in there] == [
        (one.number, one.alias, one.request) for one in here
    ]
    assert [one.problem and REFUSAL.dump_python(one.problem) for one in there] == [
        one.problem and REFUSAL.dump_python(one.problem) for one in here
    ]


def test_certificate_comes_back_octet_for_octet(reader: Reader) -> None:
    made = self_signed("orders.example")
    form = Form(FORM, hostile_bodies.form(made.pem, activate_at="2027-01-31T06:00:00Z"), FIELDS)

    there = elsewhere(reader, NEW, form)

    assert there == NEW.here(form)
    assert there.certificate == made.der


def test_all_that_is_wrong_comes_back(reader: Reader) -> None:
    form = Form(FORM, hostile_bodies.form(b"", alias="-", endpoint="x"), FIELDS)

    with pytest.raises(RejectedMany) as refused:
        reader.submit(NEW, form, size=LARGE).result()

    assert {one.field for one in refused.value.errors} == {"alias", "endpoint", "certificate"}


@pytest.mark.parametrize("name", ["endless", "greedy", "crashed"])
def test_what_goes_beyond_its_limits_is_refused_and_the_next_is_read(costly: Reader, name: str) -> None:
    with pytest.raises(Rejected) as refused:
        costly.submit(READINGS[name], "", size=LARGE).result()

    assert refused.value.code == "too_costly"
    assert costly.submit(READINGS["files"], "", size=LARGE).result() == 4  # standard ones, and where answers go


def test_whoever_kills_it_is_not_the_uploader(costly: Reader) -> None:
    with pytest.raises(Unavailable) as unavailable:
        costly.submit(READINGS["killed"], "", size=LARGE).result()

    assert unavailable.value.code == "reader_ended"


def test_bug_is_told_by_its_place_and_never_by_what_was_read(costly: Reader) -> None:
    with pytest.raises(RuntimeError, match=r"^ValueError in broken \(.*costly_readings\.py:\d+\)") as bug:
        costly.submit(READINGS["broken"], "what was sent", size=LARGE).result()

    assert "what was sent" not in str(bug.value)


def test_it_knows_nothing_of_the_api(costly: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting and no other secret that stands in the environment."""
    monkeypatch.setenv("TRUSTCAST_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    told = costly.submit(READINGS["environment"], "", size=LARGE).result()

    assert [name for name in told if not name.startswith(("PYTHON", "LD_LIBRARY_PATH", "LC_CTYPE"))] == []


def _only_process_of(module: str) -> int:
    found = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if module in path.read_bytes().decode() and _parent(path.parent) == os.getpid()
    ]
    (one,) = found
    return one


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(") ")[2].split()[1])


def test_it_leaves_no_core_file_behind(costly: Reader) -> None:
    """What was sent stands in one, and a private key may have been among it."""
    costly.submit(READINGS["files"], "", size=LARGE).result()

    limit = resource.prlimit(_only_process_of("tests.integration.costly_readings"), resource.RLIMIT_CORE)

    assert limit == (0, 0)


def test_it_ends_when_the_pipe_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    reader = Reader(most_waiting=1, module="tests.integration.costly_readings")
    reader.submit(READINGS["files"], "", size=LARGE).result()
    process = _only_process_of("tests.integration.costly_readings")

    reader.close()

    until(lambda: not Path(f"/proc/{process}").exists(), seconds=5)


def test_who_comes_while_many_are_waiting_is_sent_away_and_nobodys_place_stays_taken(costly: Reader) -> None:
    async def all_at_once(number: int) -> list[Any]:
        asked = [costly.read(READINGS["files"], "") for _ in range(number)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(all_at_once(12))

    assert [one.code for one in answers if isinstance(one, Unavailable)] == ["too_many_at_once"] * 4
    assert asyncio.run(all_at_once(8)) == [4] * 8
