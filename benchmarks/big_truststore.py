"""One more entry in a JKS of 10,000: our listener's install beside `keytool -importcert`, and the listener's memory."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.gateway_files import GatewayFiles
from benchmarks.many_certificates import certificates
from benchmarks.rows import Row, spread
from benchmarks.seeded_dev import running_seeded_services
from benchmarks.uploads import Client, body
from tests.dev_server import wait_until
from trustcast.keystore import jks
from trustcast_cli import sample_home
from trustcast_cli.data_folder import TRUSTSTORE_PASSWORD
from trustcast_cli.services import Services
from trustcast_gateway.gateway_home import GatewayHome
from trustcast_gateway.outputs.jks import JksOutput

MANY = 10_000
TIMES_FASTER, LIMIT_MB = 20, 120
_KIB = 1024


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield two rows: the install, and the memory of the real listener process."""
    entries, changes, imports = (2_000, 5, 1) if quick else (MANY, 30, 5)
    with tempfile.TemporaryDirectory() as folder:
        yield _install_row(Path(folder), entries, changes, imports)
    with tempfile.TemporaryDirectory() as folder, running_seeded_services(Path(folder), entries=entries) as running:
        yield _memory_row(running, entries, changes)


def _install_row(folder: Path, entries: int, changes: int, imports: int) -> Row:
    home = folder / "gateway"
    sample_home.make_home(home, TRUSTSTORE_PASSWORD, {})
    output = JksOutput()
    managed = {alias: jks.trusted_entry(alias, der) for alias, der in certificates("seeded", entries)}
    output.install(GatewayHome.read(home), managed)
    ours = []
    for alias, der in certificates("added", changes):
        started = time.perf_counter()
        # As a refresh does it: the gateway's configuration is read each time.
        managed[alias] = jks.trusted_entry(alias, der)
        output.install(GatewayHome.read(home), managed)
        ours.append((time.perf_counter() - started) * 1000)
    reach = f">= {TIMES_FASTER} x faster than keytool -importcert"
    what = f"add one entry to a JKS of {entries:,}: render and install"
    facts = {f"install_{name}_ms": value for name, value in spread(ours).items()}
    if shutil.which("keytool") is None:
        return Row(what, reach, f"{statistics.median(ours):.1f} ms; there is no keytool to compare with", None, facts)
    theirs = [_keytool_ms(home / sample_home.TRUSTSTORE, folder, der) for _, der in certificates("other", imports)]
    times = statistics.median(theirs) / statistics.median(ours)
    return Row(
        what,
        reach,
        f"{times:.0f} x: {statistics.median(ours):.1f} ms, keytool {statistics.median(theirs):.0f} ms",
        times >= TIMES_FASTER,
        facts | {f"keytool_{name}_ms": value for name, value in spread(theirs).items()},
    )


def _keytool_ms(truststore: Path, folder: Path, der: bytes) -> float:
    copy, certificate = folder / "copy.jks", folder / "new.der"
    shutil.copyfile(truststore, copy)
    certificate.write_bytes(der)
    command = ["keytool", "-importcert", "-noprompt", "-alias", "new", "-file", str(certificate)]
    started = time.perf_counter()
    subprocess.run(
        [*command, "-keystore", str(copy), "-storetype", "JKS", "-storepass", TRUSTSTORE_PASSWORD],
        check=True,
        capture_output=True,
    )
    return (time.perf_counter() - started) * 1000


def _memory_row(running: Services, entries: int, changes: int) -> Row:
    files, (gateway,) = GatewayFiles(running.folder, running.gateways), running.gateways
    wait_until(lambda: len(files.ours()[0]) == entries, 60, every=0.5)
    at_first = _peak_mb(running, gateway)
    taken = []
    with closing(Client(running.port, running.admin_token)) as client:
        for alias, der in certificates("added", changes):
            before, started = files.profiles_now(), time.perf_counter()
            client.upload(body(alias, der))
            taken += [(one - started) * 1000 for one in files.wait_for_new_profiles(before, 20)]
    peak = _peak_mb(running, gateway)
    refreshes = re.findall(r'"milliseconds": ([0-9.]+)', running.folder.log(gateway).read_text(encoding="utf-8"))
    return Row(
        f"listener's peak memory (VmHWM): {entries:,} entries fetched at start, then {changes} changes",
        f"<= {LIMIT_MB} MB",
        f"{peak:.0f} MB",
        peak <= LIMIT_MB,
        {"after_first_fetch_mb": round(at_first)}
        | {f"refresh_{name}_ms": value for name, value in spread([float(each) for each in refreshes[1:]]).items()}
        | {f"upload_to_installed_{name}_ms": value for name, value in spread(taken).items()},
    )


def _peak_mb(running: Services, gateway: str) -> float:
    status = Path(f"/proc/{running.pid(gateway)}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / _KIB
