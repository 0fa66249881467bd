"""What one refresh does to the gateway's files, the node's own state and the api's knowledge of both."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.gateway_home import PASSWORD, make_home
from tests.stated_api import NOON, Answer, StatedApi, der, digest_of, later
from trustcast.domain.errors import Conflict, TrustcastError, Unavailable, Untrusted
from trustcast.keystore import jks
from trustcast_gateway.distribution import Distribution
from trustcast_gateway.outputs.jks import JksOutput
from trustcast_gateway.refresh import Node, complete, refresh
from trustcast_gateway.reports import Reports
from trustcast_gateway.trusted_state import TrustedState

FOREIGN = der(1001), der(1002)


@dataclass
class Gateway:
    """One gateway on disk and the listener's node beside it, which can be started again."""

    folder: Path
    api: StatedApi = field(default_factory=StatedApi)
    at: datetime = NOON
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = make_home(self.folder / "home", FOREIGN)
        for path in self.home.truststore, self.home.ssl_profiles:
            os.utime(path, (1_600_000_000, 1_600_000_000))  # else the first install could be one that has to settle

    def start(self, *, environment: str = "default", transport: httpx.BaseTransport | None = None) -> Node:
        self.stop()
        client = self.api.client if transport is None else httpx.Client(base_url="http://api", transport=transport)
        api = Distribution(client, gateway="gateway-1", environment=environment)
        node = Node(
            environment=environment,
            home=self.home.folder,
            keys=self.api.keys,
            api=api,
            reports=Reports(api, heartbeat_seconds=60, monotonic=time.monotonic),
            state=TrustedState.open(self.folder / "state", environment),
            clock=lambda: self.at,
        )
        self.nodes.append(node)
        return node

    def stop(self) -> None:
        for node in self.nodes:
            node.state.close()

    def trusted(self) -> dict[str, bytes]:
        """What the truststore on disk trusts, without what was there before us."""
        found = jks.read(self.home.truststore.read_bytes(), PASSWORD)
        foreign = {entry.alias: entry.certificate for entry in found if entry.alias.startswith("foreign-")}
        assert foreign == {"foreign-1": FOREIGN[0], "foreign-2": FOREIGN[1]}
        return {e.alias: e.certificate or b"" for e in found if not e.alias.startswith("foreign-")}

    def files(self) -> list[tuple[int, int, bytes]]:
        """Everything that tells whether somebody wrote the gateway's files."""
        paths = self.home.truststore, self.home.ssl_profiles
        return [(path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in paths]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.stop()


def test_first_refresh_installs_what_the_head_states_beside_the_foreign_entries(gateway: Gateway) -> None:
    gateway.api.state({"b": der(2), "a": der(1)})

    stated = refresh(gateway.start())

    assert stated == 1
    assert gateway.trusted() == {"a": der(1), "b": der(2)}
    assert gateway.home.ssl_profiles.stat().st_mtime_ns > gateway.home.truststore.stat().st_mtime_ns


def test_report_names_the_generation_and_the_digest_read_back(gateway: Gateway) -> None:
    gateway.api.state({"a": der(1)})

    refresh(gateway.start())

    assert gateway.api.reports == [
        {
            "environment": "default",
            "generation": 1,
            "entries_sha256": digest_of({"a": der(1)}),
            "phase": "installed",
            "code": None,
            "detail": None,
        }
    ]


def test_later_refresh_asks_only_for_what_happened_since(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.state({"a": der(1), "b": der(2)})
    refresh(node)
    gateway.api.put("c", der(3))
    gateway.api.remove("a")

    refresh(node)

    assert gateway.api.asked_after == [0, 1]
    assert gateway.trusted() == {"b": der(2), "c": der(3)}


def test_replaced_certificate_replaces_the_entry(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    gateway.api.put("a", der(2))

    refresh(node)

    assert gateway.trusted() == {"a": der(2)}


def test_refresh_without_news_writes_nothing_and_tells_nothing(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    files, state = gateway.files(), (gateway.folder / "state" / "trusted.sqlite3").stat()

    refresh(node)

    assert gateway.files() == files
    assert (gateway.folder / "state" / "trusted.sqlite3").stat() == state
    assert len(gateway.api.reports) == 1


def test_head_signed_anew_is_remembered_without_an_install(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    files = gateway.files()
    gateway.api.at = gateway.at = later(minutes=5)

    refresh(node)

    assert gateway.files() == files
    assert node.state.last is not None
    assert node.state.last.issued_at == later(minutes=5)


def test_older_head_of_the_same_generation_does_not_replace_the_newer(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    gateway.api.at = gateway.at = later(minutes=5)
    refresh(node)
    gateway.api.at = later(minutes=4)

    refresh(node)

    assert node.state.last is not None
    assert node.state.last.issued_at == later(minutes=5)
    last = gateway.start().state.last
    assert last is not None
    assert last.issued_at == later(minutes=5)


def test_environment_without_a_generation_leaves_the_files_alone(gateway: Gateway) -> None:
    files = gateway.files()

    stated = refresh(gateway.start())

    assert stated == 0
    assert gateway.files() == files
    assert [(r["generation"], r["entries_sha256"], r["phase"]) for r in gateway.api.reports] == [
        (0, digest_of({}), "installed")
    ]


def test_emptied_environment_leaves_only_the_foreign_entries(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    gateway.api.remove("a")

    refresh(node)

    assert gateway.trusted() == {}
    assert gateway.api.reports[-1]["generation"] == 2


def _other_certificate(answer: Answer) -> Answer:
    forged = base64.b64encode(der(666)).decode()
    return {**answer, "changes": [{**change, "certificate": forged} for change in answer["changes"]]}


def _one_more(answer: Answer) -> Answer:
    forged = base64.b64encode(der(666)).decode()
    return {**answer, "changes": [*answer["changes"], {"change": "put", "alias": "x", "certificate": forged}]}


def _none(answer: Answer) -> Answer:
    return {**answer, "changes": []}


@pytest.mark.parametrize("lie", [_other_certificate, _one_more, _none])
def test_tampered_changes_are_not_installed(gateway: Gateway, lie: Callable[[Answer], Answer]) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    files = gateway.files()
    gateway.api.put("b", der(2))
    gateway.api.lie = lie

    with pytest.raises(Untrusted) as refused:
        refresh(node)

    assert refused.value.code == "entries_mismatch"
    assert gateway.files() == files
    assert gateway.api.asked_after == [0, 1, 0]
    told = gateway.api.reports[-1]
    assert (told["phase"], told["code"], told["generation"]) == ("failed", "entries_mismatch", 1)
    assert told["entries_sha256"] == digest_of({"a": der(1)})


def test_changes_that_do_not_fit_are_repaired_by_asking_for_all(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.state({"a": der(1), "old": der(3)})
    refresh(node)
    gateway.api.state({"a": der(1), "b": der(2)})
    gateway.api.lie = lambda answer: answer if answer["after"] == 0 else _none(answer)

    refresh(node)

    assert gateway.trusted() == {"a": der(1), "b": der(2)}
    assert gateway.start().state.generation == 2


def test_answer_from_another_generation_than_asked_is_a_gap(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    refresh(node)
    gateway.api.put("b", der(2))
    gateway.api.lie = lambda answer: {**answer, "after": 7}

    with pytest.raises(Untrusted, match="do not lead"):
        refresh(node)


def test_alias_that_would_break_the_canonical_list_is_not_installed(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    gateway.api.lie = lambda answer: {**answer, "changes": [{**answer["changes"][0], "alias": "A\0b"}]}

    with pytest.raises(Untrusted) as refused:
        refresh(gateway.start())

    assert refused.value.code == "entries_malformed"
    assert gateway.trusted() == {}


def _signed_by_a_stranger(gateway: Gateway) -> None:
    gateway.api.key = Ed25519PrivateKey.generate()


def _bad_signature(gateway: Gateway) -> None:
    other = StatedApi()
    other.key = gateway.api.key
    other.state({"x": der(666)})
    payload = other.envelope()["payload"]
    gateway.api.lie = lambda answer: {**answer, "head": {**answer["head"], "payload": payload}}


def _for_another_environment(gateway: Gateway) -> None:
    gateway.api.environment = "elsewhere"


def _rolled_back(gateway: Gateway) -> None:
    del gateway.api.generations[2:]


def _equivocating(gateway: Gateway) -> None:
    gateway.api.generations[2:] = [{"x": der(666)}]


def _expired(gateway: Gateway) -> None:
    gateway.api.put("b", der(2))
    gateway.at = later(minutes=10)


def _forgotten(gateway: Gateway) -> None:
    gateway.api.generations = [{}]


REFUSALS = [
    (_signed_by_a_stranger, "head_unknown_key"),
    (_bad_signature, "head_bad_signature"),
    (_for_another_environment, "head_wrong_environment"),
    (_rolled_back, "head_rollback"),
    (_equivocating, "head_equivocation"),
    (_expired, "head_expired"),
    (_forgotten, "head_rollback"),
]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("attack", "code"), REFUSALS)
def test_head_that_must_not_be_believed_leaves_the_last_good_files(
    gateway: Gateway, attack: Callable[[Gateway], None], code: str, *, restart: bool
) -> None:
    gateway.api.put("a", der(1))
    gateway.api.put("c", der(3))
    node = gateway.start()
    refresh(node)
    if restart:
        node = gateway.start()
        complete(node)
    files = gateway.files()
    attack(gateway)

    with pytest.raises(Untrusted) as refused:
        refresh(node)

    assert refused.value.code == code
    assert gateway.files() == files
    told = gateway.api.reports[-1]
    assert (told["phase"], told["code"], told["generation"]) == ("failed", code, 2)
    assert told["detail"] == refused.value.detail


def test_alias_of_a_foreign_entry_is_refused_until_the_operator_frees_it(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("foreign-1", der(1))
    before = gateway.files()

    with pytest.raises(Conflict):
        refresh(node)

    assert gateway.files() == before
    assert (gateway.api.reports[-1]["phase"], gateway.api.reports[-1]["code"]) == ("failed", "foreign_alias")
    entries = [e for e in jks.read(gateway.home.truststore.read_bytes(), PASSWORD) if e.alias != "foreign-1"]
    gateway.home.truststore.write_bytes(jks.write(entries, PASSWORD))
    refresh(node)
    assert gateway.api.reports[-1]["generation"] == 1


def test_entry_that_somebody_took_out_comes_back_with_the_next_refresh(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.state({"a": der(1), "b": der(2)})
    refresh(node)
    entries = [e for e in jks.read(gateway.home.truststore.read_bytes(), PASSWORD) if e.alias != "a"]
    gateway.home.truststore.write_bytes(jks.write(entries, PASSWORD))

    refresh(node)

    assert gateway.trusted() == {"a": der(1), "b": der(2)}


def test_wrong_password_is_reported_and_repaired_without_a_restart(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    good = gateway.home.truststore.read_bytes()
    gateway.home.truststore.write_bytes(jks.write(jks.read(good, PASSWORD), "another"))

    with pytest.raises(Unavailable):
        refresh(node)

    assert (gateway.api.reports[-1]["phase"], gateway.api.reports[-1]["code"]) == ("failed", "truststore_password")
    gateway.home.truststore.write_bytes(good)
    refresh(node)
    assert gateway.trusted() == {"a": der(1)}


def test_api_that_is_away_is_not_told_that_it_is_away(gateway: Gateway) -> None:
    gateway.api.status = 503

    with pytest.raises(Unavailable) as away:
        refresh(gateway.start())

    assert away.value.code == "api_failed"
    assert gateway.api.requests == ["GET /v1/environments/default/changes?after=0"]


def test_report_that_cannot_be_delivered_holds_nothing_up_and_comes_later(gateway: Gateway) -> None:
    node = gateway.start()
    gateway.api.put("a", der(1))
    gateway.api.report_status = 500
    refresh(node)
    assert gateway.trusted() == {"a": der(1)}
    gateway.api.report_status = 204
    gateway.api.reports.clear()

    refresh(node)

    assert [report["generation"] for report in gateway.api.reports] == [1]


def test_restart_continues_with_one_refresh_of_ten_changes(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    refresh(gateway.start())
    gateway.stop()
    for number in range(10):
        gateway.api.put(f"backend-{number}", der(number))

    refresh(gateway.start())

    assert gateway.api.asked_after == [0, 1]
    assert gateway.trusted() == gateway.api.generations[-1]


class Killed(BaseException):
    """As SIGKILL: nothing after it runs, nothing is tidied up."""


class KilledBeforeRename(JksOutput):
    """The real output of a process that does not live to use it."""

    def install(self, *_: Any) -> dict[str, str]:
        raise Killed


class NoNetwork(httpx.BaseTransport):
    """Nobody answers."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no network", request=request)


def test_kill_between_state_and_truststore_is_completed_at_start_without_network(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    refresh(gateway.start())
    gateway.api.put("b", der(2))
    gateway.api.remove("a")
    node = gateway.start()
    node.output = KilledBeforeRename()
    with suppress(Killed):
        refresh(node)
    assert gateway.trusted() == {"a": der(1)}

    complete(gateway.start(transport=NoNetwork()))

    assert gateway.trusted() == {"b": der(2)}


def test_kill_between_truststore_and_profiles_is_completed_at_start(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    refresh(gateway.start())
    profiles = gateway.home.ssl_profiles
    old = profiles.stat()
    gateway.api.put("b", der(2))
    refresh(gateway.start())
    os.utime(profiles, ns=(old.st_atime_ns, old.st_mtime_ns))

    complete(gateway.start(transport=NoNetwork()))

    assert profiles.stat().st_mtime_ns > gateway.home.truststore.stat().st_mtime_ns


def test_start_without_network_reports_when_the_network_is_back(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    refresh(gateway.start())
    gateway.api.reports.clear()
    gateway.api.status = 503
    node = gateway.start()
    complete(node)
    with pytest.raises(Unavailable):
        refresh(node)
    gateway.api.status = 200

    refresh(node)

    assert [(report["generation"], report["phase"]) for report in gateway.api.reports] == [(1, "installed")]


def test_node_that_moves_to_another_environment_keeps_its_files_until_it_has_new_ones(gateway: Gateway) -> None:
    gateway.api.put("a", der(1))
    refresh(gateway.start())
    gateway.api = replace_environment(gateway.api, "other")
    node = gateway.start(environment="other")
    complete(node)
    assert gateway.trusted() == {"a": der(1)}
    gateway.api.state({"z": der(9)})

    refresh(node)

    assert gateway.trusted() == {"z": der(9)}


def test_node_that_comes_back_to_an_environment_still_knows_its_floor(gateway: Gateway) -> None:
    home = gateway.api
    home.put("a", der(1))
    home.put("b", der(2))
    refresh(gateway.start())
    gateway.api = replace_environment(home, "other")
    gateway.api.state({"z": der(9)})
    refresh(gateway.start(environment="other"))
    gateway.api = home
    del home.generations[2:]

    with pytest.raises(Untrusted) as refused:
        refresh(gateway.start())

    assert refused.value.code == "head_rollback"


def replace_environment(api: StatedApi, name: str) -> StatedApi:
    other = StatedApi(name)
    other.key = api.key
    return other


def test_second_reader_that_disagrees_is_reported(gateway: Gateway) -> None:
    class Misread(JksOutput):
        def install(self, *arguments: Any) -> dict[str, str]:
            return {**super().install(*arguments), "a": "0" * 64}

    node = gateway.start()
    node.output = Misread()
    gateway.api.put("a", der(1))

    with pytest.raises(TrustcastError) as wrong:
        refresh(node)

    assert wrong.value.code == "read_back_mismatch"
    assert gateway.api.reports[-1]["phase"] == "failed"


def test_restarted_node_that_cannot_read_its_truststore_claims_no_digest(gateway: Gateway) -> None:
    gateway.api.state({"a": der(1)})
    refresh(gateway.start())
    gateway.home.truststore.write_bytes(b"junk")
    restarted = gateway.start()

    with pytest.raises(Unavailable):
        complete(restarted)

    told = gateway.api.reports[-1]
    assert (told["phase"], told["code"], told["entries_sha256"]) == ("failed", "truststore_not_jks", None)


def test_damaged_truststore_is_noticed_before_there_is_anything_to_install(gateway: Gateway) -> None:
    gateway.home.truststore.write_bytes(b"junk")

    with pytest.raises(Unavailable):
        refresh(gateway.start())

    assert gateway.home.truststore.read_bytes() == b"junk"
    assert gateway.api.reports[-1]["code"] == "truststore_not_jks"


def test_operators_own_entry_that_says_the_same_serves_and_stays(gateway: Gateway) -> None:
    gateway.api.state({"foreign-1": FOREIGN[0]})
    node = gateway.start()

    refresh(node)

    assert gateway.api.reports[-1]["entries_sha256"] == digest_of({"foreign-1": FOREIGN[0]})
    gateway.api.state({})
    refresh(node)
    assert gateway.trusted() == {}


def test_removed_alias_that_the_operators_own_entry_keeps_trusted_is_said_once(gateway: Gateway) -> None:
    gateway.api.state({"foreign-1": FOREIGN[0], "a": der(1)})
    node = gateway.start()
    refresh(node)
    gateway.api.state({})

    with structlog.testing.capture_logs() as lines:
        refresh(node)
        refresh(node)

    said = [(line["alias"], line["log_level"]) for line in lines if line["event"] == "still_trusted"]
    assert said == [("foreign-1", "warning")]


def test_refresh_after_a_burst_renews_the_profiles_once_more_even_while_the_api_is_away(gateway: Gateway) -> None:
    node = gateway.start()
    time.sleep(1.02 - time.time() % 1)
    for number in range(2):
        gateway.api.put("a", der(number))
        refresh(node)
    hidden = gateway.home.ssl_profiles.stat().st_mtime_ns
    time.sleep(1.02 - time.time() % 1)
    gateway.api.status = 503

    with pytest.raises(Unavailable):
        refresh(node)

    assert gateway.home.ssl_profiles.stat().st_mtime_ns // 10**9 > hidden // 10**9
