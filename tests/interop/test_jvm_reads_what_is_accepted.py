"""One entry that a JVM cannot parse makes a whole truststore unreadable: the policy has to refuse each of those."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.interop.keytool import PASSWORD, fingerprints, keytool
from tests.interop.odd_certificates import (
    HOST,
    of_cryptography,
    with_odd_algorithms,
    with_odd_extensions,
    with_odd_subjects,
)
from trustcast.domain.certificate import Certificate
from trustcast.domain.endpoint import Endpoint
from trustcast.domain.errors import Rejected
from trustcast.domain.policy import Policy
from trustcast.keystore import jks

ENDPOINT = Endpoint.parse(f"https://{HOST}")


def _accepted(der: bytes) -> bool:
    """Whether the most lenient policy takes it, on the day that suits it best."""
    try:
        it = Certificate.parse(der)
        Policy(allow_v1=True).check(it, endpoint=ENDPOINT, at=it.not_before, ca=it.is_ca)
    except Rejected:
        return False
    return True


def _unreadable(certificates: dict[str, bytes], store: Path) -> list[str]:
    """The names of those with which keytool reads no truststore; halves the search, as keytool names none."""
    store.write_bytes(jks.write([jks.trusted_entry(name, der) for name, der in certificates.items()], PASSWORD))
    try:
        listing = keytool("-list", store=store)
    except AssertionError:
        if len(certificates) == 1:
            return list(certificates)
    else:
        assert len(fingerprints(listing)) == len(certificates)
        return []
    names = list(certificates)
    half = len(names) // 2
    parts = [{name: certificates[name] for name in part} for part in (names[:half], names[half:])]
    return [name for part in parts for name in _unreadable(part, store)]


# `cryptography` warns of some of its vectors, and accepts them.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_jvm_loads_everything_that_the_policy_accepts(tmp_path: Path) -> None:
    everything = dict(chain(with_odd_extensions(), with_odd_algorithms(), with_odd_subjects(), of_cryptography()))
    accepted = {name: der for name, der in everything.items() if _accepted(der)}

    assert _unreadable(accepted, tmp_path / "store.jks") == []
    assert len(everything) > len(accepted) > 300


def test_jvm_refuses_the_whole_truststore_for_one_odd_certificate(tmp_path: Path) -> None:
    sound = {name: der for name, der in with_odd_algorithms() if name == "signature: PSS"}
    odd = {name: der for name, der in with_odd_extensions() if name == "2.5.29.17 e-mail '', critical=True"}

    assert _unreadable(sound | odd, tmp_path / "store.jks") == list(odd)
