"""What the Publisher-compatible routes print as Java would, held against a JVM."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.certificates import ec_key
from tests.tools import java_tool
from trustcast_api.publisher import java_text

KEY = ec_key()
BEGINS, ENDS = datetime(2022, 5, 6, 18, 11, 14, tzinfo=UTC), datetime(2032, 12, 31, tzinfo=UTC)
KINDS = [
    value
    for name, value in sorted(vars(NameOID).items())
    if isinstance(value, x509.ObjectIdentifier) and name != "X500_UNIQUE_IDENTIFIER"
]
VALUES = ["a,b", "a+b", "a=b", "#a", "a;b", "a<b>", 'a"b', "a\\b", " a", "a ", "a  b", "é, b", '"a"', '"a', '"a"b"']
MORE_VALUES = ["a\nb", "a\n", "a*b@c", "日本", '""', '"', "a \nb", "ACME, Inc."]


def _attribute(kind: x509.ObjectIdentifier, value: str = "LK") -> x509.NameAttribute[str]:
    return x509.NameAttribute(kind, value)


NAMES = [
    x509.Name([_attribute(NameOID.COUNTRY_NAME), _attribute(NameOID.COMMON_NAME, "localhost")]),
    x509.Name([_attribute(kind) for kind in KINDS]),
    x509.Name([x509.RelativeDistinguishedName([_attribute(NameOID.COMMON_NAME), _attribute(NameOID.USER_ID)])]),
    x509.Name([_attribute(x509.ObjectIdentifier("1.2.3.4.5"), "é")]),
    *(x509.Name([_attribute(NameOID.COMMON_NAME, value)]) for value in [*VALUES, *MORE_VALUES]),
]


def _pem(name: x509.Name) -> bytes:
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 7, BEGINS, ENDS)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def _printed(file: Path) -> str:
    options = "-Duser.language=en -Duser.timezone=UTC -Dsun.stdout.encoding=UTF-8 -Dstdout.encoding=UTF-8"
    done = subprocess.run(
        [java_tool("keytool"), "-printcert", "-file", file],
        env={**os.environ, "JAVA_TOOL_OPTIONS": options},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def test_names_and_dates_are_those_of_a_jvm(tmp_path: Path) -> None:
    (tmp_path / "all.pem").write_bytes(b"".join(map(_pem, NAMES)))

    printed = _printed(tmp_path / "all.pem")

    assert re.findall(r"^Owner: (.*?)\nIssuer: ", printed, re.DOTALL | re.MULTILINE) == [*map(java_text.name, NAMES)]
    validity = f"Valid from: {java_text.date(BEGINS)} until: {java_text.date(ENDS)}"
    assert printed.count(validity) == len(NAMES)
