"""The gateway environments that a WSO2 API Manager names: in api-manager.xml (to 3.x) or deployment.toml (from 3.0).

    APIManager/APIGateway/Environments/Environment[@type]   Name, Description
    [[apim.gateway.environment]]                            name, type, description

Nothing else in these files is looked at, their user names and passwords least of all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from trustcast.domain.environment import EnvironmentType
from trustcast_cli.errors import CannotRun

LARGEST_FILE = 4 * 1024 * 1024  # theirs have some 60 KB
_TYPE_WHERE_NONE_IS_SAID = EnvironmentType.HYBRID.value
# What WSO2 puts in at its start: a system property in XML; a variable, a property, a reference or a secret in TOML.
_PLACEHOLDER = re.compile(r"\$\{|\$(?:env|sys|ref|secret)\{")


@dataclass(frozen=True, slots=True)
class Environment:
    """One of them; `type` is production, sandbox or hybrid."""

    name: str
    type: str
    description: str


def environments(path: Path) -> list[Environment]:
    """Return the environments that a file names, in its order; one that ends in `.toml` is read as TOML, others as XML.

    Raises `CannotRun` for a file that cannot be read, names none, names one twice, or says what cannot be used.
    """
    data = _read(path)
    named = _in_toml(path, data) if path.suffix.lower() == ".toml" else _in_xml(path, data)
    found = [_environment(path, *one) for one in named]
    if not found:
        raise CannotRun(f"{path} names no gateway environment.")
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CannotRun(f"{path} names an environment twice: {', '.join(twice)}.")
    return found


def _environment(path: Path, name: str, kind: str, description: str) -> Environment:
    name, kind, description = (" ".join(text.split()) for text in (name, kind, description))
    if not name:
        raise CannotRun(f"{path}: an environment has no name.")
    if _PLACEHOLDER.search(name + kind):
        raise CannotRun(
            f"{path}: WSO2 fills in the name or the type of the environment {name!r} when it starts. "
            "Write out what it is in a copy of the file."
        )
    kind = kind.lower() or _TYPE_WHERE_NONE_IS_SAID
    if kind not in set(EnvironmentType):
        raise CannotRun(
            f"{path}: the environment {name!r} has the type {kind!r}; it can be one of {', '.join(EnvironmentType)}."
        )
    return Environment(name, kind, description)


def _in_xml(path: Path, data: bytes) -> Iterator[tuple[str, str, str]]:
    root = _parsed(path, data)
    if _local(root) != "APIManager":
        raise CannotRun(f"{path} is not an api-manager.xml: its root is {_local(root)!r}, not 'APIManager'.")
    for gateway in _children(root, "APIGateway"):
        for listed in _children(gateway, "Environments"):
            for one in _children(listed, "Environment"):
                yield _text(one, "Name"), one.get("type") or "", _text(one, "Description")


def _parsed(path: Path, data: bytes) -> etree._Element:
    """Parse without fetching or expanding anything; a document that declares entities is refused."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise CannotRun(f"{path} is not well-formed XML (line {error.lineno}).") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise CannotRun(f"{path} has a document type declaration, which is not allowed.")
    return root


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in element.iterchildren(etree.Element) if _local(child) == name)


def _text(element: etree._Element, name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "")


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _in_toml(path: Path, data: bytes) -> Iterator[tuple[str, str, str]]:
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise CannotRun(f"{path} is not text in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        # Not the error itself: some name what they stumbled over, and next to it stand passwords.
        where = re.search(r"at line \d+", str(error))
        raise CannotRun(f"{path} is not well-formed TOML{f' ({where[0]})' if where else ''}.") from None
    listed: Any = document
    for key in ("apim", "gateway", "environment"):
        listed = listed.get(key, {}) if isinstance(listed, dict) else {}
    for one in listed if isinstance(listed, list) else []:
        yield tuple(_string(path, one, key) for key in ("name", "type", "description"))  # type: ignore[misc]


def _string(path: Path, table: Any, key: str) -> str:
    value = table.get(key, "") if isinstance(table, dict) else None
    if not isinstance(value, str):
        raise CannotRun(f"{path}: the {key} of an environment is not a string.")
    return value


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > LARGEST_FILE:
        raise CannotRun(f"{path} is larger than {LARGEST_FILE // 1024 // 1024} MB; it cannot be what it should be.")
    return data
