"""The door: which endpoint an entry of a key store is for, and which moments are understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from tests import key_stores
from tests.certificates import Made, self_signed
from trustcast.domain.errors import RejectedMany
from trustcast_api.read_upload import Upload, read_entries, read_upload
from trustcast_api.request import Line

PASSWORD = "a password"


def line(made: Made, *, alias: str | None = "web", endpoint: str | None = None) -> Line:
    """The only entry of a key store, as the door reads it."""
    entry = PKCS12Certificate(made.certificate, None if alias is None else alias.encode())
    store = serialize_java_truststore([entry], BestAvailableEncryption(PASSWORD.encode()))
    (found,) = read_entries(Upload(certificate=store, password=PASSWORD, endpoint=endpoint))
    return found


@pytest.mark.parametrize(
    ("sans", "common_name", "endpoint"),
    [
        (["web.example", "other.example"], "name.example", "https://web.example:443"),
        (["*.web.example", "a.web.example"], "name.example", "https://a.web.example:443"),
        (["WEB.example"], "name.example", "https://web.example:443"),
        (["192.0.2.7"], "name.example", "https://192.0.2.7:443"),
        (["2001:db8::7"], "name.example", "https://[2001:db8::7]:443"),
        (["intranet"], "name.example", "https://intranet:443"),
        ([], "name.example", "https://name.example:443"),
    ],
)
def test_entry_is_for_the_first_host_that_it_names(sans: Sequence[str], common_name: str, endpoint: str) -> None:
    found = line(self_signed(None, sans=sans, common_name=common_name))

    assert found.problem is None
    assert found.request is not None
    assert (found.request.alias, found.request.endpoint) == ("web", endpoint)


@pytest.mark.parametrize(
    ("sans", "common_name"),
    [([], "Backend"), (["*.web.example"], "name.example"), ([], "web.example/path"), ([], "web.example:8443")],
)
def test_entry_that_names_no_host_has_no_endpoint(sans: Sequence[str], common_name: str) -> None:
    found = line(self_signed(None, sans=sans, common_name=common_name))

    assert found.problem is not None
    assert (found.request, found.problem.code, found.problem.field) == (None, "endpoint_missing", "endpoint")
    assert "wildcards do not count" in found.problem.detail


def test_endpoint_of_the_upload_is_that_of_every_entry() -> None:
    found = line(self_signed("web.example"), endpoint="https://api.example:8443/path")

    assert found.request is not None
    assert found.request.endpoint == "https://api.example:8443"


def test_alias_that_is_none_is_not_shown() -> None:
    found = line(self_signed("web.example"), alias="a b")

    assert found.problem is not None
    assert (found.alias, found.problem.code) == (None, "alias_invalid")
    assert "keytool -changealias -alias OLD -destalias NEW" in found.problem.detail
    assert "a b" not in found.problem.detail


def test_key_store_that_may_hold_keys_is_told_that_and_nothing_else() -> None:
    """A JCEKS is not read, so what a key store leaves out seems to be missing, and its password to be for nothing."""
    with pytest.raises(RejectedMany) as refused:
        read_upload(Upload(certificate=b"\xce\xce\xce\xce\0\0\0\2" + bytes(40), password=PASSWORD))

    assert (refused.value.code, refused.value.field) == ("private_key", "certificate")
    assert len(refused.value.errors) == 1


def test_entry_without_a_name_has_no_alias() -> None:
    found = line(self_signed("web.example"), alias=None)

    assert found.problem is not None
    assert (found.alias, found.request) == (None, None)
    assert (found.problem.code, found.problem.field) == ("keystore_entry_unnamed", "alias")


def test_entry_that_is_no_certificate_stops_no_other() -> None:
    good = self_signed("web.example").der
    bags = [key_stores.certificate_bag(der, name) for der, name in ((good[:-1], "bad"), (good, "good"))]
    store = key_stores.pfx(key_stores.data(key_stores.seq(*bags)))

    for endpoint in (None, "https://web.example"):
        bad, other = read_entries(Upload(certificate=store, endpoint=endpoint))

        assert other.request is not None
        assert other.request.certificate == good
        assert bad.problem is not None
        assert (bad.number, bad.alias, bad.request) == (1, "bad", None)
        assert (bad.problem.code, bad.problem.field) == ("keystore_entry", "certificate")


def test_name_in_a_wrong_encoding_is_no_alias_and_stops_no_other() -> None:
    der = self_signed("web.example").der
    bags = [key_stores.certificate_bag(der, name) for name in (b"\0a\xd8\x00", b"\0b\0", "good")]

    lines = read_entries(Upload(certificate=key_stores.pfx(key_stores.data(key_stores.seq(*bags)))))

    assert [one.problem and one.problem.code for one in lines] == ["alias_invalid", "alias_invalid", None]
    assert [one.alias for one in lines] == [None, None, "good"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31T06:00:00Z", datetime(2027, 1, 31, 6, tzinfo=UTC)),
        ("2027-01-31t06:00:00z", datetime(2027, 1, 31, 6, tzinfo=UTC)),
        ("2027-01-31T06:00:00.25+05:30", datetime(2027, 1, 31, 0, 30, 0, 250_000, tzinfo=UTC)),
        ("2027-01-31T06:00:00.123456789-02:00", datetime(2027, 1, 31, 8, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_moment_is_kept_in_utc(text: str, moment: datetime) -> None:
    sent = Upload("web", "https://web.example", self_signed("web.example").pem, activate_at=text)

    assert read_upload(sent).activate_at == moment


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-31T06:00:00",
        "2027-02-30T06:00:00Z",
        "2027-01-31 06:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٧-01-31T06:00:00Z",
    ],
)
def test_anything_else_is_no_moment(text: str) -> None:
    sent = Upload("web", "https://web.example", self_signed("web.example").pem, activate_at=text)

    with pytest.raises(RejectedMany) as refused:
        read_upload(sent)

    assert [(one.code, one.field) for one in refused.value.errors] == [("field_invalid", "activate_at")]


@pytest.mark.parametrize("read", [read_upload, read_entries])
@pytest.mark.parametrize("name", ["alias", "endpoint", "anchor", "ca", "accept_expired", "activate_at", "password"])
def test_half_of_a_surrogate_pair_is_refused(name: str, read: Callable[[Upload], object]) -> None:
    sent: dict[str, Any] = {name: "x\ud800"}

    with pytest.raises(RejectedMany) as refused:
        read(Upload(**sent))

    assert (name, "charset") in [(one.field, one.code) for one in refused.value.errors]
