"""Where a WSO2 gateway keeps its truststore, in the words of its own configuration.

Three files name it, and all that are there must agree:

    repository/conf/axis2/axis2.xml   transportSender https: the default truststore, and where sslprofiles.xml is
    sslprofiles.xml                   the profiles that are loaded while the gateway runs; it must be there
    repository/conf/carbon.xml        Security/TrustStore

WSO2 3.x and 4.x write these files anew at start, with other locations: read them again before each install.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lxml import etree

from trustcast.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_AXIS2: Final = Path("repository/conf/axis2/axis2.xml")
_CARBON: Final = Path("repository/conf/carbon.xml")
_SSL_PROFILES: Final = "repository/resources/security/sslprofiles.xml"
_CARBON_NAMESPACES: Final = {"c": "http://wso2.org/projects/carbon/carbon.xml"}
_SECURE_VAULT_ALIAS: Final = "{http://org.wso2.securevault/configuration}secretAlias"


@dataclass(frozen=True, slots=True)
class GatewayHome:
    """What one gateway installation says now. `type` is in upper case: JKS, PKCS12."""

    folder: Path
    ssl_profiles: Path
    truststore: Path
    type: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, folder: Path, password: str | None = None) -> GatewayHome:
        """Read the configuration below `folder`.

        `password` is the truststore's from the listener's own settings; it is needed where the gateway keeps its
        passwords in a secure vault, and must agree with every password that is written out.

        Raises `Unavailable`, codes: `gateway_home_missing` (a file), `gateway_home_invalid` (XML, or what it says),
        `gateway_home_disagrees`, `truststore_password_needed`.
        """
        folder = folder.absolute()
        axis2, carbon = _optional(folder / _AXIS2), _optional(folder / _CARBON)
        ssl_profiles = folder / _ssl_profiles(folder / _AXIS2, axis2)
        named = [_in_profiles(folder, ssl_profiles, _parsed(ssl_profiles))]
        if axis2 is not None:
            named += _in_axis2(folder, folder / _AXIS2, axis2)
        if carbon is not None:
            named += _in_carbon(folder, folder / _CARBON, carbon)
        _agree("location", [(one.source, str(one.path)) for one in named])
        _agree("type", [(one.source, one.type) for one in named])
        return cls(folder, ssl_profiles, named[0].path, named[0].type, _password(named, password))


@dataclass(frozen=True, slots=True)
class _Named:
    """What one file says about the truststore; no password where it is in a secure vault."""

    source: Path
    path: Path
    type: str
    password: str | None = field(repr=False)


def _in_profiles(folder: Path, source: Path, root: etree._Element) -> _Named:
    """The truststore of the profile for every server; profiles for certain servers are the operator's own affair."""
    profiles = [one for one in root.iterchildren("profile") if one.find("TrustStore") is not None]
    everywhere = [one for one in profiles if "*" in _servers(one)]
    named = [
        _named(folder, source, store) for one in everywhere or profiles for store in one.iterchildren("TrustStore")
    ]
    if not named:
        raise _invalid(source, "no profile in it has a TrustStore")
    if len({(one.path, one.type) for one in named}) > 1:
        raise Unavailable("gateway_home_disagrees", f"{source} names several truststores: {_listed(named)}.")
    return named[0]


def _in_axis2(folder: Path, source: Path, root: etree._Element) -> list[_Named]:
    stores = root.xpath("/*/transportSender[@name='https']/parameter[@name='truststore']/TrustStore")
    return [_named(folder, source, store) for store in _elements(stores)]


def _in_carbon(folder: Path, source: Path, root: etree._Element) -> list[_Named]:
    stores = root.xpath("/c:Server/c:Security/c:TrustStore", namespaces=_CARBON_NAMESPACES)
    for store in _elements(stores):
        for element in store.iter(etree.Element):
            element.tag = etree.QName(element).localname
        for location in store.iter("Location"):
            location.text = (location.text or "").replace("${carbon.home}", str(folder))
    return [_named(folder, source, store) for store in _elements(stores)]


def _ssl_profiles(source: Path, axis2: etree._Element | None) -> str:
    """Where sslprofiles.xml is, relative to the home."""
    if axis2 is None:
        return _SSL_PROFILES
    found = axis2.xpath("/*/transportSender[@name='https']/parameter[@name='dynamicSSLProfilesConfig']/filePath")
    paths = [one.text or "" for one in _elements(found)]
    if not paths:
        return _SSL_PROFILES
    if paths[0].startswith("/"):
        raise _invalid(
            source, "its dynamicSSLProfilesConfig filePath is absolute; the gateway needs it relative to its home"
        )
    return _exact(source, "filePath", paths[0])


def _named(folder: Path, source: Path, store: etree._Element) -> _Named:
    location = _exact(source, "Location", store.findtext("Location"))
    store_type = _exact(source, "Type", store.findtext("Type"))
    return _Named(
        source, Path(os.path.normpath(folder / location)), store_type.upper(), _written_password(source, store)
    )


def _written_password(source: Path, store: etree._Element) -> str | None:
    element = store.find("Password")
    if element is None:
        raise _invalid(source, "a TrustStore in it has no Password")
    if element.get(_SECURE_VAULT_ALIAS) is not None or (element.text or "").startswith("$secret{"):
        return None
    return element.text or ""


def _password(named: list[_Named], setting: str | None) -> str:
    known = [(str(one.source), one.password) for one in named if one.password is not None]
    if setting is not None:
        known.append(("the listener's own setting", setting))
    if not known:
        raise Unavailable(
            "truststore_password_needed",
            "The gateway keeps its truststore's password in a secure vault; "
            "give it to the listener with TRUSTCAST_GATEWAY_TRUSTSTORE_PASSWORD_FILE.",
        )
    first_source, first = known[0]
    for source, password in known:
        if password != first:
            raise Unavailable(
                "gateway_home_disagrees", f"{first_source} and {source} have different passwords for the truststore."
            )
    return first


def _agree(what: str, values: list[tuple[Path, str]]) -> None:
    if len({value for _, value in values}) > 1:
        said = "; ".join(f"{source} says {value}" for source, value in values)
        raise Unavailable(
            "gateway_home_disagrees", f"The gateway's files name different truststores by {what}: {said}."
        )


def _servers(profile: etree._Element) -> list[str]:
    return [server.strip() for server in (profile.findtext("servers") or "").split(",")]


def _exact(source: Path, name: str, text: str | None) -> str:
    """Refuse what the gateway would take literally and fail on: it does not trim these texts."""
    if not text:
        raise _invalid(source, f"a {name} in it is missing or empty")
    if text != text.strip():
        raise _invalid(source, f"a {name} in it has white space around it, which the gateway does not trim")
    return text


def _listed(named: Iterable[_Named]) -> str:
    return ", ".join(sorted({f"{one.path} ({one.type})" for one in named}))


def _optional(path: Path) -> etree._Element | None:
    return _parsed(path) if path.exists() else None


def _parsed(path: Path) -> etree._Element:
    """Parse without fetching or expanding anything; a document that declares entities is refused."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except OSError as error:
        raise Unavailable("gateway_home_missing", f"{path} cannot be read: {error.strerror}.") from error
    except etree.XMLSyntaxError as error:
        raise _invalid(path, f"it is not well-formed XML (line {error.lineno})") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise _invalid(path, "it has a document type declaration, which is not allowed")
    return root


def _elements(found: object) -> Sequence[etree._Element]:
    return [one for one in found if isinstance(one, etree._Element)] if isinstance(found, list) else []  # noqa: SLF001 - lxml's only name for it


def _invalid(path: Path, reason: str) -> Unavailable:
    return Unavailable("gateway_home_invalid", f"{path} cannot be used: {reason}.")
