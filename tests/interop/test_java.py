"""Java and its keytool read what we write, and we carry through what they wrote."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Made, authority, self_signed
from tests.gateway_home import entries, make_home
from tests.interop.keytool import PASSWORD, fingerprints, keytool
from tests.tools import java_tool
from trustcast.keystore import jks
from trustcast.keystore.jks import trusted_entry
from trustcast_gateway.outputs.jks import JksOutput

CLIENT = Path(__file__).with_name("PollingGateway.java")


def test_keytool_lists_what_was_installed(tmp_path: Path) -> None:
    backends = {f"backend-{number}": self_signed(f"{number}.backend.example") for number in range(3)}
    home = make_home(tmp_path / "gateway", [authority().der])

    read = JksOutput().install(home, {alias: trusted_entry(alias, made.der) for alias, made in backends.items()})

    listing = keytool("-list", store=home.truststore)
    assert "Your keystore contains 4 entries" in listing
    assert sorted(fingerprints(listing)) == sorted(read.values())
    assert {made.fingerprint_sha256 for made in backends.values()} < set(read.values())


def test_keytool_reads_aliases_in_every_script(tmp_path: Path) -> None:
    aliases = ["größe", "бэкенд", "€uro", "emoji-🔑"]
    store = tmp_path / "store.jks"
    store.write_bytes(jks.write([trusted_entry(alias, self_signed().der) for alias in aliases], PASSWORD))

    listing = keytool("-list", "-v", store=store)

    assert sorted(line.split(": ")[1] for line in listing.splitlines() if line.startswith("Alias name")) == sorted(
        aliases
    )


def test_an_empty_truststore_is_one_for_keytool(tmp_path: Path) -> None:
    store = tmp_path / "store.jks"
    store.write_bytes(jks.write([], "pässwörd"))

    assert "Your keystore contains 0 entries" in keytool("-list", store=store, password="pässwörd")


def test_what_keytool_wrote_is_carried_through_byte_for_byte(tmp_path: Path) -> None:
    home = make_home(tmp_path / "gateway")
    _keytool_fills(home.truststore, tmp_path)
    before = entries(home)
    output = JksOutput()

    output.install(home, {"backend": trusted_entry("backend", self_signed().der)})

    assert len(before) == 2
    assert entries(home)[:2] == before
    assert "PrivateKeyEntry" in keytool("-list", store=home.truststore)
    output.install(home, {})
    assert home.truststore.read_bytes() == jks.write(before, PASSWORD)


def _keytool_fills(store: Path, folder: Path) -> None:
    """A private key and a trusted certificate, as an operator would put them there."""
    (folder / "ca.pem").write_bytes(authority().pem)
    key = ["-alias", "Server", "-dname", "CN=gateway", "-keyalg", "EC", "-keypass", PASSWORD]
    keytool("-genkeypair", *key, store=store)
    keytool("-importcert", "-noprompt", "-alias", "Company CA", "-file", folder / "ca.pem", store=store)


def test_our_entries_stay_ours_when_keytool_rewrites_the_file(tmp_path: Path) -> None:
    home = make_home(tmp_path / "gateway")
    JksOutput().install(home, {"backend": trusted_entry("backend", self_signed().der)})
    _keytool_fills(home.truststore, tmp_path)

    JksOutput().install(home, {})

    assert sorted(entry.alias for entry in entries(home)) == ["company ca", "server"]


@contextmanager
def backend(made: Made, folder: Path) -> Iterator[int]:
    """A TLS server that shakes hands and hangs up; yields its port."""
    (folder / "backend.pem").write_bytes(made.key_pem + made.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "backend.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, context))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:  # also where java is missing: Python waits at its end for a thread that waits for somebody
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                continue  # a client that does not trust us


@pytest.mark.timeout(60)
def test_a_jvm_that_polls_the_profiles_trusts_a_backend_from_install_to_removal(tmp_path: Path) -> None:
    certificate = self_signed("localhost", sans=["localhost", "127.0.0.1"])
    home = make_home(tmp_path / "gateway", [authority().der])
    output = JksOutput()
    with backend(certificate, tmp_path) as port, gateway(home.folder, port) as said:
        assert said() == "loaded 1 entries"
        assert "unable to find valid certification path" in said()

        output.install(home, {"backend": trusted_entry("Backend", certificate.der)})
        assert (said(), said()) == ("loaded 2 entries", "connected")

        output.install(home, {})
        assert said() == "loaded 1 entries"
        assert "unable to find valid certification path" in said()


@contextmanager
def gateway(home: Path, port: int) -> Iterator[Callable[[], str]]:
    """PollingGateway.java; yields what returns its next line."""
    command = [java_tool("java"), str(CLIENT), str(home), "localhost", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = process.stdout
        try:
            yield lambda: lines.readline().strip()
        finally:
            process.kill()
