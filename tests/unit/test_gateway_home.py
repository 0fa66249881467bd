"""The gateway's own files say where its truststore is; where they do not agree, nobody guesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway_home import PASSWORD, make_home
from trustcast.domain.errors import Unavailable
from trustcast_cli.sample_home import AXIS2, CARBON, SSL_PROFILES, TRUSTSTORE
from trustcast_gateway.gateway_home import GatewayHome

TRUSTSTORE_TEXT = TRUSTSTORE.as_posix()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_home(tmp_path / "gateway")
    return tmp_path / "gateway"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refusal(folder: Path, password: str | None = None) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        GatewayHome.read(folder, password)
    return caught.value


def test_a_gateway_home_names_its_truststore_and_profiles(folder: Path) -> None:
    home = GatewayHome.read(folder)

    assert home == GatewayHome(folder, folder / SSL_PROFILES, folder / TRUSTSTORE, "JKS", PASSWORD)


def test_the_password_is_not_in_what_is_printed(folder: Path) -> None:
    assert PASSWORD not in repr(GatewayHome.read(folder))


@pytest.mark.parametrize("password", ["<&>\"'", "pässwörd", "€ and 🔑", "${carbon.home} $x"])
def test_any_password_is_read_as_it_is(tmp_path: Path, password: str) -> None:
    assert make_home(tmp_path / "other", password=password).password == password


def test_axis2_says_where_the_profiles_are(folder: Path) -> None:
    (folder / SSL_PROFILES).rename(folder / "profiles.xml")
    edit(folder / AXIS2, f"<filePath>{SSL_PROFILES}", "<filePath>profiles.xml")

    assert GatewayHome.read(folder).ssl_profiles == folder / "profiles.xml"


@pytest.mark.parametrize("missing", [AXIS2, CARBON])
def test_a_home_without_axis2_or_carbon_is_read(folder: Path, missing: Path) -> None:
    (folder / missing).unlink()

    assert GatewayHome.read(folder).truststore == folder / TRUSTSTORE


def test_a_home_without_profiles_is_refused(folder: Path) -> None:
    (folder / SSL_PROFILES).unlink()

    error = refusal(folder)

    assert error.code == "gateway_home_missing"
    assert str(folder / SSL_PROFILES) in error.detail


def test_the_location_is_read_anew_each_time(folder: Path) -> None:
    GatewayHome.read(folder)
    for path in (AXIS2, CARBON, SSL_PROFILES):
        edit(folder / path, "client-truststore.jks", "client-truststore-temp.jks")

    assert GatewayHome.read(folder).truststore.name == "client-truststore-temp.jks"


def test_an_absolute_location_is_taken_as_it_is(folder: Path) -> None:
    absolute = str(folder / TRUSTSTORE)
    edit(folder / SSL_PROFILES, TRUSTSTORE_TEXT, absolute)

    assert GatewayHome.read(folder).truststore == folder / TRUSTSTORE


@pytest.mark.parametrize("path", [AXIS2, CARBON, SSL_PROFILES])
def test_files_that_name_different_truststores_are_told_apart(folder: Path, path: Path) -> None:
    edit(folder / path, "client-truststore.jks", "another.jks")

    error = refusal(folder)

    assert error.code == "gateway_home_disagrees"
    assert f"{folder / path} says {(folder / TRUSTSTORE).with_name('another.jks')}" in error.detail
    assert f"{folder / TRUSTSTORE}" in error.detail


def test_files_that_name_different_types_are_told_apart(folder: Path) -> None:
    edit(folder / CARBON, "<Type>JKS", "<Type>PKCS12")

    assert refusal(folder).code == "gateway_home_disagrees"


def test_different_passwords_are_named_by_file_and_never_shown(folder: Path) -> None:
    edit(folder / CARBON, PASSWORD, "another secret")

    error = refusal(folder)

    assert error.code == "gateway_home_disagrees"
    assert str(CARBON) in error.detail
    assert "secret" not in error.detail
    assert PASSWORD not in error.detail


def test_the_listeners_own_password_must_agree_with_those_written_out(folder: Path) -> None:
    assert refusal(folder, "another").code == "gateway_home_disagrees"
    assert GatewayHome.read(folder, PASSWORD).password == PASSWORD


VAULT = 'xmlns:svns="http://org.wso2.securevault/configuration" svns:secretAlias="store.password"'


@pytest.mark.parametrize(
    "password", [f"<Password {VAULT}>x</Password>", "<Password>$secret{store.password}</Password>"], ids=["2.6", "4"]
)
def test_passwords_in_a_secure_vault_need_the_listeners_own(folder: Path, password: str) -> None:
    for path in (AXIS2, CARBON, SSL_PROFILES):
        edit(folder / path, f"<Password>{PASSWORD}</Password>", password)

    error = refusal(folder)

    assert error.code == "truststore_password_needed"
    assert "TRUSTCAST_GATEWAY_TRUSTSTORE_PASSWORD_FILE" in error.detail
    assert GatewayHome.read(folder, "from the settings").password == "from the settings"


def test_profiles_for_certain_servers_are_the_operators_affair(folder: Path) -> None:
    certain = (
        "<profile><servers>legacy:443, other:443</servers><TrustStore><Location>legacy.jks</Location>"
        "<Type>JKS</Type><Password>theirs</Password></TrustStore></profile>"
    )
    edit(folder / SSL_PROFILES, "    <profile>", f"    {certain}<profile>")

    assert GatewayHome.read(folder).truststore == folder / TRUSTSTORE


def test_profiles_with_several_truststores_and_none_for_all_are_refused(folder: Path) -> None:
    edit(folder / SSL_PROFILES, "*", "first:443")
    second = (
        "<profile><servers>second:443</servers><TrustStore><Location>second.jks</Location>"
        "<Type>JKS</Type><Password>theirs</Password></TrustStore></profile>"
    )
    edit(folder / SSL_PROFILES, "    <profile>", f"    {second}<profile>")

    assert refusal(folder).code == "gateway_home_disagrees"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (SSL_PROFILES, f"<Location>{TRUSTSTORE_TEXT}<", f"<Location>\n{TRUSTSTORE_TEXT}\n<"),
        (SSL_PROFILES, f"<Location>{TRUSTSTORE_TEXT}<", "<Location><"),
        (SSL_PROFILES, "<Type>JKS</Type>", ""),
        (SSL_PROFILES, f"<Password>{PASSWORD}</Password>", ""),
        (SSL_PROFILES, "TrustStore>", "Truststore>"),
        (SSL_PROFILES, "</profile>", ""),
        (SSL_PROFILES, "<parameter", '<!DOCTYPE parameter [<!ENTITY x "y">]><parameter'),
        (CARBON, "<Server", '<!DOCTYPE Server SYSTEM "http://127.0.0.1:1/carbon.dtd"><Server'),
        (AXIS2, "<filePath>", "<filePath>/"),
    ],
    ids=["spaces", "empty", "no type", "no password", "case", "not well-formed", "entity", "doctype", "absolute"],
)
def test_what_the_gateway_would_fail_on_is_refused_and_the_file_named(
    folder: Path, path: Path, old: str, new: str
) -> None:
    edit(folder / path, old, new)

    error = refusal(folder)

    assert error.code == "gateway_home_invalid"
    assert str(folder / path) in error.detail


def test_entities_are_never_expanded(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("top secret")
    edit(folder / SSL_PROFILES, "<parameter", f'<!DOCTYPE x [<!ENTITY s SYSTEM "{tmp_path}/secret">]><parameter')
    edit(folder / SSL_PROFILES, f"<Password>{PASSWORD}", "<Password>&s;")

    assert "top secret" not in refusal(folder).detail


def test_the_shipped_layout_with_key_stores_and_receivers_is_read(folder: Path) -> None:
    receiver = (
        '<transportReceiver name="https"><parameter name="truststore"><TrustStore><Location>other.jks</Location>'
        "<Type>JKS</Type><Password>x</Password></TrustStore></parameter></transportReceiver>"
    )
    edit(folder / AXIS2, '    <transportSender name="https"', f'    {receiver}<transportSender name="https"')
    key_store = "<KeyStore><Location>keys.jks</Location><Type>JKS</Type><Password>k</Password></KeyStore>"
    edit(folder / SSL_PROFILES, "<TrustStore>", f"{key_store}<TrustStore>")

    assert GatewayHome.read(folder).truststore == folder / TRUSTSTORE
