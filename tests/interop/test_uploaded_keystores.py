"""The key stores that Java's and OpenSSL's programs make are read as these programs read them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.certificates import Made, self_signed
from tests.interop.keytool import PASSWORD, fingerprints, keytool
from tests.tools import java_tool, missing
from trustcast.domain.errors import Rejected
from trustcast_api.read_keystore import is_keystore, read_keystore

Arguments = list[str | Path]

HOSTS = ["one.example", "two.example"]
PASSWORDS = [PASSWORD, "another", "", None]


@cache
def made(host: str) -> Made:
    return self_signed(host)


def code(file: Path, password: str | None) -> str:
    with pytest.raises(Rejected) as caught:
        read_keystore(file.read_bytes(), password)
    return caught.value.code


def read(file: Path, password: str | None = PASSWORD) -> dict[str | None, str]:
    """Alias -> certificate SHA-256."""
    content = file.read_bytes()
    assert is_keystore(content)
    return {entry.alias: hashlib.sha256(entry.certificate).hexdigest() for entry in read_keystore(content, password)}


EXPECTED = {host: made(host).fingerprint_sha256 for host in HOSTS}


def keytool_trusts(folder: Path, kind: str, *settings: str) -> Path:
    """A truststore of both hosts' certificates, as an operator would make it."""
    store = folder / "trusted"
    for host in HOSTS:
        (folder / "certificate.pem").write_bytes(made(host).pem)
        arguments: Arguments = ["-importcert", "-noprompt", "-alias", host, "-file", folder / "certificate.pem"]
        keytool(*arguments, *(f"-J-Dkeystore.pkcs12.{each}" for each in settings), store=store, kind=kind)
    return store


def openssl(*arguments: str | Path) -> None:
    path = shutil.which("openssl")
    if path is None:
        missing("openssl is not on PATH")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def openssl_trusts(folder: Path, *options: str, password: str = PASSWORD) -> Path:
    (folder / "all.pem").write_bytes(b"".join(made(host).pem for host in HOSTS))
    names = [argument for host in HOSTS for argument in ("-caname", host)]
    out: Arguments = ["-out", folder / "trusted.p12", "-passout", f"pass:{password}"]
    openssl("pkcs12", "-export", "-nokeys", "-in", folder / "all.pem", *names, *options, *out)
    return folder / "trusted.p12"


KEYTOOL = {
    "as it is": (),
    "as Java 8 did": ("legacy",),
    "3DES": ("certProtectionAlgorithm=PBEWithSHA1AndDESede", "macAlgorithm=HmacPBESHA1"),
    "RC2 with 128 bits": ("certProtectionAlgorithm=PBEWithSHA1AndRC2_128", "macAlgorithm=HmacPBESHA384"),
    "AES-128 and SHA-512": ("certProtectionAlgorithm=PBEWithHmacSHA512AndAES_128", "macAlgorithm=HmacPBESHA512"),
    "AES-256 and SHA-1": ("certProtectionAlgorithm=PBEWithHmacSHA1AndAES_256", "macAlgorithm=HmacPBESHA224"),
    "without encryption": ("certProtectionAlgorithm=NONE",),
    "without anything": ("certProtectionAlgorithm=NONE", "macAlgorithm=NONE"),
}


@pytest.mark.parametrize("settings", KEYTOOL.values(), ids=KEYTOOL)
def test_what_keytool_trusts_in_pkcs12_is_read(settings: Sequence[str], tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, "PKCS12", *settings)

    found = read(store)

    assert found == EXPECTED
    assert sorted(found.values()) == sorted(fingerprints(keytool("-list", store=store, kind="PKCS12")))


def test_what_keytool_trusts_in_a_jks_is_read(tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, "JKS")

    assert read(store) == EXPECTED
    assert code(store, "another") == "keystore_password"
    assert code(store, None) == "password_missing"


def test_keytools_file_without_anything_needs_no_password(tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, "PKCS12", *KEYTOOL["without anything"])

    assert read(store, None) == read(store, "another") == EXPECTED


def test_a_wrong_password_does_not_open_keytools_file(tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, "PKCS12")

    assert code(store, "another") == "keystore_password"
    assert code(store, None) == "password_missing"


@pytest.mark.parametrize("alias", ["größe", "emoji-🔑", "with a space"])
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_names_are_those_that_keytool_was_given(alias: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_bytes(made(HOSTS[0]).pem)
    arguments: Arguments = ["-importcert", "-noprompt", "-alias", alias, "-file", tmp_path / "certificate.pem"]
    # The command line's encoding is not Java's to choose.
    keytool(*arguments, "-J-Dsun.jnu.encoding=UTF-8", store=tmp_path / "store", kind=kind)

    assert list(read(tmp_path / "store")) == [alias]


def test_a_file_that_costs_too_much_is_read_after_what_the_refusal_advises(tmp_path: Path) -> None:
    costly = keytool_trusts(tmp_path, "PKCS12", "macIterationCount=400000")
    assert code(costly, PASSWORD) == "keystore_too_costly"

    settings = ("-J-Dkeystore.pkcs12.macIterationCount=10000", "-J-Dkeystore.pkcs12.certPbeIterationCount=10000")
    source = ("-srckeystore", costly, "-srcstorepass", PASSWORD)
    command: Arguments = [java_tool("keytool"), "-importkeystore", *settings, *source]
    subprocess.run(
        [*command, "-destkeystore", tmp_path / "new.p12", "-deststorepass", PASSWORD], check=True, capture_output=True
    )

    assert read(tmp_path / "new.p12") == EXPECTED


def test_the_truststore_of_the_jdk_itself_is_read() -> None:
    home = Path(java_tool("keytool")).resolve().parents[1]
    store = home / "lib" / "security" / "cacerts"

    found = read(store, "changeit")

    assert len(found) > 50
    assert sorted(found.values()) == sorted(fingerprints(keytool("-list", store=store, password="changeit")))


OPENSSL: dict[str, Sequence[str]] = {
    "as it is": (),
    "as OpenSSL 1 did": ("-legacy",),
    "3DES": ("-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
    "AES-128": ("-certpbe", "AES-128-CBC", "-macalg", "sha512"),
    "AES-192": ("-certpbe", "AES-192-CBC", "-macalg", "sha384"),
    "one iteration": ("-iter", "1"),
    "100,000 iterations": ("-iter", "100000"),
    "one iteration for the MAC": ("-nomaciter",),
    "without a MAC": ("-nomac",),
    "without encryption": ("-certpbe", "NONE"),
    "without anything": ("-certpbe", "NONE", "-nomac"),
}


@pytest.mark.parametrize("options", OPENSSL.values(), ids=OPENSSL)
@pytest.mark.parametrize("password", [PASSWORD, "pässwörd 🔑", ""])
def test_what_openssl_exports_is_read(options: Sequence[str], password: str, tmp_path: Path) -> None:
    assert read(openssl_trusts(tmp_path, *options, password=password), password) == EXPECTED


def test_openssls_file_without_names_has_none_until_its_advice_is_followed(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_bytes(made(HOSTS[0]).pem)
    out: Arguments = ["-out", tmp_path / "one.p12", "-passout", f"pass:{PASSWORD}"]
    openssl("pkcs12", "-export", "-nokeys", "-in", tmp_path / "one.pem", *out)
    assert read(tmp_path / "one.p12") == {None: EXPECTED[HOSTS[0]]}

    openssl("pkcs12", "-export", "-nokeys", "-in", tmp_path / "one.pem", "-caname", "one", *out)

    assert read(tmp_path / "one.p12") == {"one": EXPECTED[HOSTS[0]]}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("options", [(), ("-legacy",), ("-keypbe", "NONE"), ("-nomac",)], ids=" ".join)
def test_a_key_that_openssl_exports_is_refused(options: Sequence[str], password: str | None, tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(made(HOSTS[0]).key_pem + made(HOSTS[0]).pem)
    out: Arguments = ["-out", tmp_path / "server.p12", "-passout", f"pass:{PASSWORD}"]
    openssl("pkcs12", "-export", "-in", tmp_path / "both.pem", *options, *out)

    assert code(tmp_path / "server.p12", password) == "private_key"


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_a_key_of_keytool_is_refused(kind: str, tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, kind)
    keytool("-genkeypair", "-alias", "server", "-dname", "CN=server", "-keyalg", "EC", store=store, kind=kind)

    assert [code(store, password) for password in PASSWORDS] == ["private_key"] * len(PASSWORDS)


def test_a_secret_key_of_keytool_is_refused(tmp_path: Path) -> None:
    store = keytool_trusts(tmp_path, "PKCS12")
    keytool("-genseckey", "-alias", "secret", "-keyalg", "AES", "-keysize", "256", store=store, kind="PKCS12")

    assert [code(store, password) for password in PASSWORDS] == ["private_key"] * len(PASSWORDS)


def test_keytools_other_kind_of_key_store_is_none_here(tmp_path: Path) -> None:
    """JCEKS; all of it is refused as what may hold a key."""
    assert not is_keystore(keytool_trusts(tmp_path, "JCEKS").read_bytes())


def test_what_cryptography_reads_in_openssls_file_is_what_is_read_here(tmp_path: Path) -> None:
    file = openssl_trusts(tmp_path)

    theirs = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode()).additional_certs

    assert {(each.friendly_name or b"").decode(): each.certificate for each in theirs} == {
        host: made(host).certificate for host in HOSTS
    }
    assert read(file) == EXPECTED
