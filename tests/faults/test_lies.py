"""Somebody lies to the listener, on the bus or in the api's place: nothing is installed, and it is said."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import dev_server
from tests.certificates import self_signed
from tests.faults.listener import listening
from tests.faults.man_in_the_middle import ManInTheMiddle, standing_before
from tests.faults.uploads import Client, running
from tests.invariants import log_lines
from trustcast.domain import messages
from trustcast.domain.head import Head, HeadSigner
from trustcast.domain.messages import TruststoreChanged
from trustcast.domain.truststore import Truststore
from trustcast.storage import truststores
from trustcast_cli import sample_home
from trustcast_cli.data_folder import ENVIRONMENT

GATEWAY = "gateway-1"
EVIL = self_signed("evil.example")
Answer = dict[str, Any]


@dataclass
class Victim:
    """A listener that takes a man in the middle for its api."""

    uploader: Client
    man: ManInTheMiddle

    @property
    def stolen(self) -> HeadSigner:
        """The real key: what it signs still has to be for this environment, new and fresh."""
        return HeadSigner.from_pem(self.uploader.services.folder.head_key.read_bytes())

    def upload(self) -> None:
        """Make news, of which a hint tells."""
        self.uploader.upload(f"backend-{len(self.uploader.accepted)}")

    def files(self) -> tuple[bytes, int, bytes]:
        """Return the gateway's files and when its truststore was written.

        Not when sslprofiles.xml was: an honest install may renew that once more up to two seconds later, for Java 8.
        That a refused answer renews nothing, the unit tests of `refresh` show.
        """
        home = self.uploader.services.folder.gateway_home(GATEWAY)
        truststore = home / sample_home.TRUSTSTORE
        return truststore.read_bytes(), truststore.stat().st_mtime_ns, (home / sample_home.SSL_PROFILES).read_bytes()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the listener's log lines of one kind."""
        return [line for line in log_lines(self.uploader.services.folder, GATEWAY) if line["event"] == event]

    def reported(self) -> tuple[str, str | None]:
        """Return phase and code as the api knows them."""
        answer = self.uploader.http.get(f"/v1/environments/{ENVIRONMENT}/truststore").raise_for_status().json()
        (gateway,) = answer["gateways"]
        return gateway["phase"], gateway["code"]

    def forged_head(self) -> Head:
        """Return a head that fits the changes to come and the evil certificate beside them."""
        with self.uploader.database.reading() as transaction:
            newest = truststores.status(transaction, ENVIRONMENT).generation
            entries = dict(truststores.content(transaction, ENVIRONMENT).entries) | {"evil": EVIL.fingerprint_sha256}
        now, digest = datetime.now(UTC), Truststore(entries).digest()
        return Head(ENVIRONMENT, newest + 1, len(entries), digest, None, now, now + timedelta(minutes=10))


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("lies") / "data"
    with running(folder, gateways=1) as uploader:
        services = uploader.services
        services.stop(GATEWAY)
        with standing_before(services.url) as man, listening(services, GATEWAY, TRUSTCAST_API_URL=man.url):
            victim = Victim(uploader, man)
            for _ in range(2):
                victim.upload()
                dev_server.wait_until(uploader.converged)
            yield victim


def _another_certificate(answer: Answer, _: Victim) -> None:
    answer["changes"][-1]["certificate"] = base64.b64encode(EVIL.der).decode()


def _another_alias(answer: Answer, _: Victim) -> None:
    answer["changes"][-1]["alias"] = "evil"


def _a_change_withheld(answer: Answer, _: Victim) -> None:
    answer["changes"].pop()


def _a_change_more(answer: Answer, _: Victim) -> None:
    answer["changes"].append({"change": "put", "alias": "evil", "certificate": base64.b64encode(EVIL.der).decode()})


def _a_removal_more(answer: Answer, _: Victim) -> None:
    kept = [change for change in answer["changes"] if change["alias"] != "backend-0"]
    answer["changes"] = [*kept, {"change": "remove", "alias": "backend-0"}]


def _no_head(answer: Answer, _: Victim) -> None:
    answer["head"] = None


def _an_old_answer(answer: Answer, victim: Victim) -> None:
    old = next(known for body in victim.man.answers if (known := json.loads(body))["head"])
    answer |= {"head": old["head"], "changes": old["changes"]}


def _signed_with_another_key(answer: Answer, victim: Victim) -> None:
    _forge(answer, HeadSigner(Ed25519PrivateKey.generate()), victim.forged_head())


def _signed_with_another_key_in_our_name(answer: Answer, victim: Victim) -> None:
    _signed_with_another_key(answer, victim)
    answer["head"]["signatures"][0]["keyid"] = victim.stolen.key_id


def _signed_for_another_environment(answer: Answer, victim: Victim) -> None:
    _forge(answer, victim.stolen, replace(victim.forged_head(), environment="another"))


def _signed_for_a_generation_that_was_otherwise(answer: Answer, victim: Victim) -> None:
    held = victim.logged("installed")[-1]["generation"]
    _forge(answer, victim.stolen, replace(victim.forged_head(), generation=held))


def _signed_too_long_ago(answer: Answer, victim: Victim) -> None:
    _forge(answer, victim.stolen, replace(victim.forged_head(), expires_at=datetime.now(UTC)))


def _forge(answer: Answer, signer: HeadSigner, head: Head) -> None:
    """Put a head into the answer with which everything else fits."""
    answer["changes"].append({"change": "put", "alias": "evil", "certificate": base64.b64encode(EVIL.der).decode()})
    answer["head"] = json.loads(signer.sign(head))


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (_another_certificate, "entries_mismatch"),
        (_another_alias, "entries_mismatch"),
        (_a_change_withheld, "entries_mismatch"),
        (_a_change_more, "entries_mismatch"),
        (_a_removal_more, "entries_mismatch"),
        (_no_head, "head_rollback"),
        (_an_old_answer, "head_rollback"),
        (_signed_with_another_key, "head_unknown_key"),
        (_signed_with_another_key_in_our_name, "head_bad_signature"),
        (_signed_for_another_environment, "head_wrong_environment"),
        (_signed_for_a_generation_that_was_otherwise, "head_equivocation"),
        (_signed_too_long_ago, "head_expired"),
    ],
)
def test_a_lie_installs_nothing_and_is_said_in_log_and_report(
    victim: Victim, lie: Callable[[Answer, Victim], None], code: str
) -> None:
    def tampered(body: bytes) -> bytes:
        answer = json.loads(body)
        if answer["changes"]:  # nothing to lie about in an answer without news
            lie(answer, victim)
        return json.dumps(answer).encode()

    _assert_refused(victim, tampered, code)


def test_an_answer_cut_off_installs_nothing_and_is_said_in_log_and_report(victim: Victim) -> None:
    _assert_refused(victim, lambda body: body[: len(body) // 2], "answer_malformed")


def test_a_forged_hint_installs_nothing_and_is_said(victim: Victim) -> None:
    files, asked = victim.files(), len(victim.man.asked_after)
    forged = messages.encode(TruststoreChanged(ENVIRONMENT, 999), id="1", source="x", at=datetime.now(UTC))
    url = (victim.uploader.services.folder.redis / "url").read_text(encoding="ascii").strip()
    with redis.Redis.from_url(url) as bus:
        for said in (forged, "not an event", EVIL.pem, forged.replace("999", "-1")):
            assert bus.publish(f"trustcast:changes:{ENVIRONMENT}", said) == 1

        dev_server.wait_until(lambda: len(victim.man.asked_after) > asked)
        dev_server.wait_until(lambda: victim.logged("hint_unfounded") != [])
    assert victim.logged("hint_unfounded")[-1]["claimed"] == 999
    assert victim.files() == files
    assert victim.reported() == ("installed", None)
    victim.uploader.assert_invariants()


def _assert_refused(victim: Victim, tamper: Callable[[bytes], bytes], code: str) -> None:
    files, refusals = victim.files(), len(victim.logged("refresh_failed"))
    victim.man.tamper = tamper
    try:
        victim.upload()
        dev_server.wait_until(lambda: victim.reported() == ("failed", code))
        dev_server.wait_until(lambda: len(victim.logged("refresh_failed")) > refusals)

        assert [line["code"] for line in victim.logged("refresh_failed")[refusals:]] == [code]
        assert victim.files() == files
    finally:
        victim.man.tamper = bytes
    victim.upload()
    dev_server.wait_until(lambda: victim.reported() == ("installed", None) and victim.uploader.converged())
    victim.uploader.assert_invariants()
