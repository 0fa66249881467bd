"""A truststore that newer JDKs wrote in their own way is refused, with a command that makes it readable."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.tools import java_tool
from tests.wso2 import PASSWORD, password_file
from trustcast_cli.errors import CannotRun
from trustcast_cli.wso2 import truststore

PASSWORDS = ("-srcstorepass", PASSWORD, "-deststorepass", PASSWORD)


def test_the_command_for_a_pkcs12_truststore_makes_one_that_is_read(tmp_path: Path) -> None:
    made = self_signed()
    (tmp_path / "backend.pem").write_bytes(made.pem)
    store = tmp_path / "client truststore.jks"
    new = ("-importcert", "-noprompt", "-alias", "Backend", "-file", tmp_path / "backend.pem", "-storetype", "PKCS12")
    subprocess.run([java_tool("keytool"), *new, "-keystore", store, "-storepass", PASSWORD], check=True)

    with pytest.raises(CannotRun) as caught:
        truststore.read(store, password_file(tmp_path))

    command = re.search(r"keytool -importkeystore -srckeystore .* -deststoretype JKS", str(caught.value))
    assert command is not None
    subprocess.run([*shlex.split(command[0]), *PASSWORDS], check=True)
    converted = tmp_path / "client truststore.jks.converted.jks"
    assert truststore.read(converted, password_file(tmp_path)).certificates == {"backend": made.der}
