"""A gateway home in the layout of WSO2 API Manager 2.6, with no more in it than a listener and a demo need."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final
from xml.sax.saxutils import escape

from trustcast.keystore import jks

AXIS2: Final = Path("repository/conf/axis2/axis2.xml")
CARBON: Final = Path("repository/conf/carbon.xml")
SSL_PROFILES: Final = Path("repository/resources/security/sslprofiles.xml")
TRUSTSTORE: Final = Path("repository/resources/security/client-truststore.jks")

_TEXTS: Final = {
    AXIS2: """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<axisconfig name="AxisJava2.0">
    <transportSender name="https" class="org.apache.synapse.transport.passthru.PassThroughHttpSSLSender">
        <parameter name="non-blocking" locked="false">true</parameter>
        <!-- what a backend gets that no SSL profile names -->
        <parameter name="truststore" locked="false">
            <TrustStore>
                <Location>$truststore</Location>
                <Type>JKS</Type>
                <Password>$password</Password>
            </TrustStore>
        </parameter>
        <parameter name="dynamicSSLProfilesConfig">
            <filePath>$ssl_profiles</filePath>
            <fileReadInterval>60000</fileReadInterval>
        </parameter>
    </transportSender>
</axisconfig>
""",
    CARBON: """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<Server xmlns="http://wso2.org/projects/carbon/carbon.xml">
    <Name>Sample gateway</Name>
    <Security>
        <TrustStore>
            <Location>$${carbon.home}/$truststore</Location>
            <Type>JKS</Type>
            <Password>$password</Password>
        </TrustStore>
    </Security>
</Server>
""",
    SSL_PROFILES: """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- loaded again by the gateway when this file is newer -->
<parameter name="customSSLProfiles">
    <profile>
        <servers>*</servers>
        <TrustStore>
            <Location>$truststore</Location>
            <Type>JKS</Type>
            <Password>$password</Password>
        </TrustStore>
    </profile>
</parameter>
""",
}


def make_home(folder: Path, password: str, foreign: Mapping[str, bytes]) -> None:
    """Make the home in `folder`; its truststore holds `foreign`: alias -> certificate (DER).

    The entries look as if keytool had put them there now, so that no listener takes them for its own.
    Raises `FileExistsError` rather than write over a file, and `OSError` for a folder that cannot be written.
    """
    paths = {"truststore": TRUSTSTORE.as_posix(), "ssl_profiles": SSL_PROFILES.as_posix()}
    now = time.time_ns() // 1_000_000
    entries = [jks.trusted_entry(alias, der, made_ms=now) for alias, der in foreign.items()]
    _new(folder / TRUSTSTORE, jks.write(entries, password))
    for path, text in _TEXTS.items():
        filled = Template(text).substitute(paths, password=escape(password))
        _new(folder / path, filled.encode("latin-1", "xmlcharrefreplace"))


def _new(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
